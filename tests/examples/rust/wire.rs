// SPDX-License-Identifier: MIT

//! The wire: a connection, and frames on it. A frame is its type, a length of 32 bits, little
//! endian, and so many bytes.

use super::{vsock, Error, Guest, Result};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

pub const CHUNK: usize = 64 << 10;
const FRAME_MAX: usize = 16 << 20; // the largest legal length
const HELD_MAX: usize = 1 << 20; // what is held of a frame that is not passed on
const ANSWER_TIME: Duration = Duration::from_secs(10); // for one attempt to connect
const PAUSE: Duration = Duration::from_millis(20); // between two

impl Guest {
    /// Connects, for as long as the VM may be booting, and sends the request's frame.
    pub(super) fn open(&self, port: u32, frame: u8, request: &str) -> Result<Connection> {
        let end = self.limit.map(|limit| Instant::now() + limit);
        let booted = Instant::now() + self.boot;
        loop {
            let error = match Connection::new(&self.address, port, end) {
                Ok(connection) => {
                    // Why this fails, if it does, stands in what is read.
                    let _ = connection.outlet.send(frame, request.as_bytes());
                    return Ok(connection);
                }
                Err(error) => error,
            };
            let again = Instant::now() + PAUSE;
            if end.map_or(false, |end| again > end) {
                return Err(Error::Timeout);
            }
            if is_final(&error) || again > booted {
                return Err(error);
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Whether to try again makes no sense. Else the socket may not be there yet, nobody listen at it,
/// or nobody in the guest.
fn is_final(error: &Error) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied};
    match error {
        Error::Io(error) => matches!(error.kind(), InvalidInput | PermissionDenied),
        error => matches!(error, Error::Protocol(_)),
    }
}

fn connect(address: &str, port: u32) -> io::Result<UnixStream> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "not unix:PATH or vsock:CID");
    match address.split_once(':') {
        Some(("unix", path)) => UnixStream::connect(path),
        Some(("vsock", cid)) => vsock::connect_to(cid.parse().map_err(|_| wrong())?, port),
        _ => Err(wrong()),
    }
}

/// The way out of a connection; any number of threads may use it.
#[derive(Clone)]
pub struct Outlet(Arc<Shared>);

struct Shared {
    stream: UnixStream,
    cause: Mutex<Option<io::Error>>, // why this side gave it up; locked while a frame goes out
}

impl Outlet {
    pub fn send(&self, frame: u8, payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u32).to_le_bytes();
        let whole = [&[frame][..], &length, payload].concat();
        let _guard = self.0.cause.lock();
        (&self.0.stream).write_all(&whole)
    }

    /// Sends all of a source as frames, and its end as another. That the guest takes no more is
    /// told by its answer. A source that fails must not look like one that ends.
    pub fn pump(&self, frame: u8, end: u8, mut source: impl Read + Send + 'static) {
        let outlet = self.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                let sent = match source.read(&mut buffer) {
                    Ok(0) => return drop(outlet.send(end, &[])),
                    Ok(n) => outlet.send(frame, &buffer[..n]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return outlet.give_up(error),
                };
                if sent.is_err() {
                    return;
                }
            }
        });
    }

    fn give_up(&self, cause: io::Error) {
        if let Ok(mut place) = self.0.cause.lock() {
            *place = Some(cause);
        }
        self.close();
    }

    fn close(&self) {
        let _ = self.0.stream.shutdown(Shutdown::Both);
    }
}

/// A connection: the reader's side of it.
pub struct Connection {
    pub outlet: Outlet,
    end: Option<Instant>,
    left: usize, // bytes of the frame under way that were not read
    buffer: Vec<u8>,
}

impl Connection {
    fn new(address: &str, port: u32, end: Option<Instant>) -> Result<Self> {
        let answered = Instant::now() + ANSWER_TIME;
        let answered = end.map_or(answered, |end| end.min(answered));
        // Aside, as the standard library has no connect with an end for these sockets.
        let (sender, receiver) = mpsc::channel();
        let to = address.to_owned();
        thread::spawn(move || sender.send(connect(&to, port)));
        let stream = receiver.recv_timeout(until(answered)).map_err(|_| Error::Timeout)??;
        stream.set_write_timeout(end.map(until))?;
        let outlet = Outlet(Arc::new(Shared { stream, cause: Mutex::new(None) }));
        let mut connection = Connection { outlet, end: Some(answered), left: 0, buffer: vec![0; CHUNK] };
        if address.starts_with("unix:") {
            connection.shake_hands(port)?;
        }
        connection.end = end;
        Ok(connection)
    }

    /// Asks the VMM for a port of the guest. It closes while nobody listens there.
    fn shake_hands(&mut self, port: u32) -> Result<()> {
        let mut line = Vec::new();
        let _ = (&self.outlet.0.stream).write_all(format!("CONNECT {port}\n").as_bytes());
        while line.last() != Some(&b'\n') && line.len() < 32 {
            self.left = 1;
            line.append(&mut self.hold()?);
        }
        match line.starts_with(b"OK ") {
            true => Ok(()),
            false => Err(Error::Protocol("no OK to CONNECT".into())),
        }
    }

    /// How many bytes of the frame were not read.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Begins the next frame. What was left of the one before is dropped.
    pub fn next(&mut self) -> Result<u8> {
        while self.left > 0 {
            self.piece()?;
        }
        self.left = 5;
        let header = self.hold()?;
        let length = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
        self.left = length as usize;
        match self.left > FRAME_MAX {
            true => Err(Error::Protocol(format!("a frame of {length} bytes"))),
            false => Ok(header[0]),
        }
    }

    /// The next bytes of the frame, as they come.
    pub fn piece(&mut self) -> Result<&[u8]> {
        let n = self.read(self.left.min(CHUNK))?;
        self.left -= n;
        Ok(&self.buffer[..n])
    }

    /// The rest of the frame.
    pub fn hold(&mut self) -> Result<Vec<u8>> {
        if self.left > HELD_MAX {
            return Err(Error::Protocol(format!("{} bytes to be held", self.left)));
        }
        let mut held = Vec::new();
        while self.left > 0 {
            held.extend_from_slice(self.piece()?);
        }
        Ok(held)
    }

    fn read(&mut self, max: usize) -> Result<usize> {
        let mut stream = &self.outlet.0.stream;
        loop {
            if self.end.map_or(false, |end| Instant::now() >= end) {
                return Err(Error::Timeout);
            }
            stream.set_read_timeout(self.end.map(until))?;
            match stream.read(&mut self.buffer[..max]) {
                Ok(n) if n > 0 => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error.into()),
                _ => return Err(self.lost()),
            }
        }
    }

    fn lost(&self) -> Error {
        self.outlet.close(); // whoever writes beside it may hold the lock until then
        let cause = self.outlet.0.cause.lock().ok().and_then(|mut cause| cause.take());
        cause.map_or(Error::Lost, Error::Io)
    }
}

impl Drop for Connection {
    /// Whoever writes beside it is let go too.
    fn drop(&mut self) {
        self.outlet.close();
    }
}

/// How long it is until then: a time limit of a socket, which must not be 0.
fn until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
