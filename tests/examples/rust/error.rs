// SPDX-License-Identifier: MIT

use std::{fmt, io};

/// Why a request failed.
#[derive(Debug)]
pub enum Error {
    /// The agent's own word: the program could not be run (126, 127) or not served (125). One
    /// that exits with such a code itself is no error.
    Refused { code: i32, text: String },
    /// What the guest says of a file: an errno's name, `: `, and the path or more words.
    File(String),
    /// The time was up.
    Timeout,
    /// The connection ended before the agent had said how the request did. Whether it was
    /// carried out is not known.
    Lost,
    /// What answers does not speak the protocol.
    Protocol(String),
    /// It could not be connected, or a stream of this side's failed.
    Io(io::Error),
}

impl Error {
    /// The agent has no place for the request now, and did nothing of it.
    pub fn is_busy(&self) -> bool {
        match self {
            Error::Refused { code: 125, text } => text.starts_with("busy"),
            Error::File(text) => text.starts_with("EBUSY: busy"),
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Refused { text, .. } | Error::File(text) => write!(f, "the agent says: {text}"),
            Error::Timeout => f.write_str("the guest did not answer in time"),
            Error::Lost => f.write_str("the connection to the guest was lost"),
            Error::Protocol(what) => write!(f, "what answers is not the agent: {what}"),
            Error::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::Timeout,
            _ => Error::Io(error),
        }
    }
}

pub type Result<T> = std::result::Result<T, Error>;
