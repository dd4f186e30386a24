// SPDX-License-Identifier: MIT

//! Runs programs in a microVM, and moves files in and out of it, by talking to `vmm-guest-agent`.
//! This file has programs, `wire.rs` what is below, `files.rs` files: copy the folder into your
//! tree, as a crate or, with this file as `mod.rs`, as a module. It stands on the standard library
//! alone, which has no JSON and no vsock: what is needed of those are `json.rs` and `vsock.rs`.
//! What goes over the wire is said in PROTOCOL.md. Each request is a connection of its own, so that
//! a [`Guest`] may be used by any number of threads.
//!
//! A guest is not trusted here. Whatever it sends, memory stays bounded: output and files pass
//! through a buffer of fixed size, and what has to be held is refused above a limit. For how long
//! it may take is [`Guest::limit`]'s to say: a guest can hang.

mod error;
mod files;
mod json;
mod vsock;
mod wire;

pub use error::{Error, Result};
pub use json::quote;

use std::io::{self, Read, Write};
use std::time::Duration;
use wire::{Connection, Outlet, CHUNK};

const START: u8 = 0x01;
const STDIN: u8 = 0x02;
const RESIZE: u8 = 0x03;
const EOF: u8 = 0x04;
const SIGNAL: u8 = 0x07;
const STDOUT: u8 = 0x10;
const STDERR: u8 = 0x11;
const EXIT: u8 = 0x12;
const STATUS: u8 = 0x50;
/// For [`Guest::request`]; PROTOCOL.md has the others.
pub const STATUS_REQ: u8 = 0x40;

const PORT_EXEC: u32 = 52;

/// How a program ended. Of one that was killed `code` is 128 and the signal's number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    pub code: i32,
    pub signal: i32,
    /// The agent's report, JSON, with `reason` ("exited", "timeout", "oom", …) and what was used.
    pub report: Option<String>,
}

/// A program to run.
#[must_use]
#[derive(Clone, Debug, Default)]
pub struct Command {
    members: String, // of START's JSON
}

impl Command {
    pub fn new<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Self {
        let args: Vec<String> = args.into_iter().map(|arg| quote(arg.as_ref())).collect();
        // For a report the agent tells of the program's own end, so that its 125 is not the agent's.
        Command { members: format!("\"report\":true,\"cmd\":[{}]", args.join(",")) }
    }

    /// Another member of START, as PROTOCOL.md has them; the value is JSON.
    pub fn member(mut self, name: &str, value: &str) -> Self {
        self.members.extend([",", &quote(name), ":", value]);
        self
    }

    pub fn user(self, user: &str) -> Self {
        self.member("user", &quote(user))
    }

    pub fn working_dir(self, path: &str) -> Self {
        self.member("working_dir", &quote(path))
    }

    pub fn env<'a>(self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pair = |(name, value): (&str, &str)| format!("{}:{}", quote(name), quote(value));
        let pairs: Vec<String> = variables.into_iter().map(pair).collect();
        self.member("env", &format!("{{{}}}", pairs.join(",")))
    }

    /// On a terminal of this size; all output is standard output then.
    pub fn tty(self, columns: u16, rows: u16) -> Self {
        let columns = self.member("tty", "true").member("tty_width", &columns.to_string());
        columns.member("tty_height", &rows.to_string())
    }

    /// After so long the guest kills all that the program started.
    pub fn timeout_seconds(self, seconds: u32) -> Self {
        self.member("timeout_seconds", &seconds.to_string())
    }
}

/// One VM, seen from its host.
#[must_use]
#[derive(Clone, Debug)]
pub struct Guest {
    address: String,
    boot: Duration,
    limit: Option<Duration>,
}

impl Guest {
    /// `unix:PATH` (the vsock socket of Firecracker or Cloud Hypervisor) or `vsock:CID`.
    pub fn new(address: &str) -> Self {
        Guest { address: address.into(), boot: Duration::ZERO, limit: None }
    }

    /// For so long connecting is tried again: the VM may be booting.
    pub fn boot(self, boot: Duration) -> Self {
        Guest { boot, ..self }
    }

    /// How long a request may take in all; without it, as long as it takes.
    pub fn limit(self, limit: Duration) -> Self {
        Guest { limit: Some(limit), ..self }
    }

    /// Runs a program to its end. Where a stream of this side's fails, or the time is up, the
    /// guest kills all that the program started.
    pub fn run(
        &self,
        command: &Command,
        stdin: impl Read + Send + 'static,
        stdout: &mut impl Write,
        stderr: &mut impl Write,
    ) -> Result<Exit> {
        let mut session = self.start(command)?;
        session.feed(stdin);
        loop {
            match session.event()? {
                Event::Stdout(bytes) => stdout.write_all(bytes).map_err(Error::Io)?,
                Event::Stderr(bytes) => stderr.write_all(bytes).map_err(Error::Io)?,
                Event::Status(_) => {}
                Event::Exit(exit) => return Ok(exit),
            }
        }
    }

    /// Starts a program.
    pub fn start(&self, command: &Command) -> Result<Session> {
        let request = format!("{{{}}}", command.members);
        self.open(PORT_EXEC, START, &request).map(Session::new)
    }

    /// Sends one of those requests of port 52 that are answered by EXIT, with or without a STATUS
    /// before it: [`STATUS_REQ`], 0x43 (RESTORED), … with their JSON, or nothing. A code that is
    /// not 0 is no error: the request says what it means.
    pub fn request(&self, frame: u8, json: &str) -> Result<(Option<String>, Exit)> {
        let mut session = Session::new(self.open(PORT_EXEC, frame, json)?);
        let mut status = None;
        loop {
            match session.event()? {
                Event::Status(text) => status = Some(text.to_owned()),
                Event::Exit(exit) => return Ok((status, exit)),
                _ => {}
            }
        }
    }
}

/// What comes of a program.
#[derive(Debug)]
pub enum Event<'a> {
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
    Status(&'a str),
    /// The last one.
    Exit(Exit),
}

/// A program that runs. When it is dropped before its end the guest kills all that it started.
pub struct Session {
    connection: Connection,
    frame: u8,
    words: Vec<u8>, // the last STDERR: the agent's own, if it has any
    status: String,
    exited: bool,
}

impl Session {
    fn new(connection: Connection) -> Self {
        Session { connection, frame: 0, words: vec![], status: String::new(), exited: false }
    }

    /// What goes to the program; may be cloned, and used by other threads.
    pub fn input(&self) -> Input {
        Input(self.connection.outlet.clone())
    }

    /// Sends all of a source as standard input, beside the reading of output: a program may write
    /// before it has read all. The thread ends with the session or, where it stands in the
    /// source's `read`, when that returns.
    pub fn feed(&self, source: impl Read + Send + 'static) {
        self.connection.outlet.pump(STDIN, EOF, source);
    }

    /// Waits for what comes next. Nothing comes after [`Event::Exit`] or an error. A program whose
    /// output is not read stands still.
    pub fn event(&mut self) -> Result<Event<'_>> {
        loop {
            match (self.connection.left(), self.frame) {
                (1.., STDOUT) => return Ok(Event::Stdout(self.connection.piece()?)),
                (1.., STDERR) => {
                    let piece = self.connection.piece()?;
                    let room = CHUNK.saturating_sub(self.words.len());
                    self.words.extend(piece.iter().take(room));
                    return Ok(Event::Stderr(piece));
                }
                _ => self.frame = self.connection.next()?,
            }
            match self.frame {
                STDERR => self.words.clear(),
                STATUS => {
                    let held = self.connection.hold()?;
                    self.status = String::from_utf8(held)
                        .map_err(|_| Error::Protocol("a STATUS that is not UTF-8".into()))?;
                    // The agent puts no white space between members.
                    self.exited = self.status.contains("\"event\":\"exited\"");
                    return Ok(Event::Status(&self.status));
                }
                EXIT => return self.exit().map(Event::Exit),
                _ => {}
            }
        }
    }

    fn exit(&mut self) -> Result<Exit> {
        let payload = self.connection.hold()?;
        let number = |at| Some(i32::from_le_bytes(payload.get(at..at + 4)?.try_into().ok()?));
        let (code, signal) = match (number(0), number(4)) {
            (Some(code), Some(signal)) => (code, signal),
            _ => return Err(Error::Protocol(format!("an EXIT of {} bytes", payload.len()))),
        };
        if !self.exited && (125..=127).contains(&code) {
            let text = String::from_utf8_lossy(&self.words).trim_end().to_owned();
            return Err(Error::Refused { code, text });
        }
        let report = self.exited.then(|| std::mem::take(&mut self.status));
        Ok(Exit { code, signal, report })
    }
}

/// The way to a program. Each write is a frame of standard input; it waits while the program does
/// not read. Errors are those of a connection that is over: what it was is [`Session::event`]'s.
#[derive(Clone)]
pub struct Input(Outlet);

impl Input {
    /// The end of standard input.
    pub fn eof(&self) -> io::Result<()> {
        self.0.send(EOF, &[])
    }

    /// Sends a signal to the program's whole process group.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.0.send(SIGNAL, &signal.to_le_bytes())
    }

    /// Tells the program's terminal its new size.
    pub fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        self.0.send(RESIZE, &[columns.to_le_bytes(), rows.to_le_bytes()].concat())
    }
}

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(CHUNK);
        self.0.send(STDIN, &bytes[..n]).map(|()| n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
