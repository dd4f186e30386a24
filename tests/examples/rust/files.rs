// SPDX-License-Identifier: MIT

//! Files of the guest.

use super::{quote, wire::Connection, Error, Guest, Result};
use std::io::{self, Read, Write};

const WRITE: u8 = 0x20;
const DATA: u8 = 0x21;
const DONE: u8 = 0x22;
const READ: u8 = 0x23;
const ACK: u8 = 0x30;
const ERR: u8 = 0x31;

const PORT_FILE: u32 = 53;

impl Guest {
    /// Writes a file, whole or not at all: where the source fails, or the time is up, the old one
    /// stays. Of mode 0 a new file gets 0644, and one that is there keeps its own.
    pub fn put(&self, path: &str, mode: u32, source: impl Read + Send + 'static) -> Result<()> {
        let request = format!("{{\"path\":{},\"mode\":{mode}}}", quote(path));
        let mut connection = self.open(PORT_FILE, WRITE, &request)?;
        // Beside the reading of the answer: the guest may refuse in the middle, and is sent no more then.
        connection.outlet.pump(DATA, DONE, source);
        result(&mut connection, &mut io::sink(), ACK)
    }

    /// Reads a file. Where it fails, what was written until then is not the whole file.
    pub fn get(&self, path: &str, sink: &mut impl Write) -> Result<()> {
        let request = format!("{{\"path\":{}}}", quote(path));
        result(&mut self.open(PORT_FILE, READ, &request)?, sink, DONE)
    }
}

/// Reads to the last frame of a request.
fn result(connection: &mut Connection, sink: &mut impl Write, last: u8) -> Result<()> {
    loop {
        match connection.next()? {
            DATA => {
                while connection.left() > 0 {
                    sink.write_all(connection.piece()?).map_err(Error::Io)?;
                }
            }
            ERR => {
                let text = connection.hold()?;
                return Err(Error::File(String::from_utf8_lossy(&text).into_owned()));
            }
            frame if frame == last => return Ok(()),
            _ => {}
        }
    }
}
