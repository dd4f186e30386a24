// SPDX-License-Identifier: MIT

//! Runs programs in a microVM, and moves files in and out of it, by talking to `vmm-guest-agent`.
//! It is this one file, on the standard library alone: copy it into your tree. What goes over the
//! wire is said in PROTOCOL.md. Each request is a connection of its own, so that a [`Guest`] may
//! be used by any number of threads.
//!
//! A guest is not trusted here. Whatever it sends, memory stays bounded: output and files pass
//! through a buffer of fixed size, and what has to be held is refused above a limit. For how long
//! it may take is [`Guest::limit`]'s to say: a guest can hang.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

// A frame is its type, a length of 32 bits, little endian, and so many bytes.
const START: u8 = 0x01;
const STDIN: u8 = 0x02;
const RESIZE: u8 = 0x03;
const EOF: u8 = 0x04;
const SIGNAL: u8 = 0x07;
const STDOUT: u8 = 0x10;
const STDERR: u8 = 0x11;
const EXIT: u8 = 0x12;
const FILE_WRITE: u8 = 0x20;
const FILE_DATA: u8 = 0x21;
const FILE_DONE: u8 = 0x22;
const FILE_READ: u8 = 0x23;
const FILE_ACK: u8 = 0x30;
const FILE_ERR: u8 = 0x31;
const STATUS: u8 = 0x50;
/// For [`Guest::request`]; PROTOCOL.md has the others.
pub const STATUS_REQ: u8 = 0x40;

const PORT_EXEC: u32 = 52;
const PORT_FILE: u32 = 53;
const FRAME_MAX: usize = 16 << 20; // the largest legal length
const HELD_MAX: usize = 1 << 20; // what is held of a frame that is not passed on
const CHUNK: usize = 64 << 10;
const ANSWER_TIME: Duration = Duration::from_secs(10); // for one attempt to connect

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

/// A string of JSON.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\0'..='\x1f' => quoted.extend(format!("\\u{:04x}", u32::from(c)).chars()),
            _ => quoted.push(c),
        }
    }
    quoted + "\""
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

    /// Writes a file, whole or not at all: where the source fails, or the time is up, the old one
    /// stays. Of mode 0 a new file gets 0644, and one that is there keeps its own.
    pub fn put(&self, path: &str, mode: u32, source: impl Read + Send + 'static) -> Result<()> {
        let request = format!("{{\"path\":{},\"mode\":{mode}}}", quote(path));
        let mut connection = self.open(PORT_FILE, FILE_WRITE, &request)?;
        // Beside the reading of the answer: the guest may refuse in the middle, and is sent no more then.
        connection.input.pump(FILE_DATA, FILE_DONE, source);
        connection.file_result(&mut io::sink(), FILE_ACK)
    }

    /// Reads a file. Where it fails, what was written until then is not the whole file.
    pub fn get(&self, path: &str, sink: &mut impl Write) -> Result<()> {
        let request = format!("{{\"path\":{}}}", quote(path));
        self.open(PORT_FILE, FILE_READ, &request)?.file_result(sink, FILE_DONE)
    }

    /// Connects, for as long as the VM may be booting, and sends the request's frame.
    fn open(&self, port: u32, frame: u8, request: &str) -> Result<Connection> {
        let end = self.limit.map(|limit| Instant::now() + limit);
        let booted = Instant::now() + self.boot;
        let mut pause = Duration::from_millis(10);
        loop {
            let connection = match Connection::new(&self.address, port, end) {
                Ok(connection) => connection,
                Err(error) => {
                    let again = Instant::now() + pause;
                    if end.map_or(false, |end| again > end) {
                        return Err(Error::Timeout);
                    }
                    if !may_be_booting(&error) || again > booted {
                        return Err(error);
                    }
                    thread::sleep(pause);
                    pause = (pause * 3 / 2).min(Duration::from_secs(2));
                    continue;
                }
            };
            // Why this fails, if it does, stands in what is read.
            let _ = connection.input.send(frame, request.as_bytes());
            return Ok(connection);
        }
    }
}

/// The socket is not there, nobody listens at it, or nobody does in the guest.
fn may_be_booting(error: &Error) -> bool {
    use io::ErrorKind::*;
    match error {
        Error::Timeout | Error::Lost => true,
        Error::Io(error) if error.raw_os_error() == Some(19 /* ENODEV */) => true,
        Error::Io(error) => {
            matches!(error.kind(), NotFound | ConnectionRefused | ConnectionReset | BrokenPipe)
        }
        _ => false,
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
        self.connection.input.clone()
    }

    /// Sends all of a source as standard input, beside the reading of output: a program may write
    /// before it has read all. The thread ends with the session or, where it stands in the
    /// source's `read`, when that returns.
    pub fn feed(&self, source: impl Read + Send + 'static) {
        self.connection.input.pump(STDIN, EOF, source);
    }

    /// Waits for what comes next. Nothing comes after [`Event::Exit`] or an error. A program whose
    /// output is not read stands still.
    pub fn event(&mut self) -> Result<Event<'_>> {
        loop {
            match (self.connection.left, self.frame) {
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
pub struct Input(Arc<Outlet>);

struct Outlet {
    stream: UnixStream,
    cause: Mutex<Option<io::Error>>, // why this side gave it up; locked while a frame goes out
}

impl Input {
    /// The end of standard input.
    pub fn eof(&self) -> io::Result<()> {
        self.send(EOF, &[])
    }

    /// Sends a signal to the program's whole process group.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        self.send(SIGNAL, &signal.to_le_bytes())
    }

    /// Tells the program's terminal its new size.
    pub fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        self.send(RESIZE, &[columns.to_le_bytes(), rows.to_le_bytes()].concat())
    }

    fn send(&self, frame: u8, payload: &[u8]) -> io::Result<()> {
        let length = (payload.len() as u32).to_le_bytes();
        let whole = [&[frame][..], &length, payload].concat();
        let _guard = self.0.cause.lock();
        (&self.0.stream).write_all(&whole)
    }

    /// Sends all of a source as frames, and its end as another. That the guest takes no more is
    /// told by its answer. A source that fails must not look like one that ends.
    fn pump(&self, frame: u8, end: u8, mut source: impl Read + Send + 'static) {
        let input = self.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; CHUNK];
            loop {
                let sent = match source.read(&mut buffer) {
                    Ok(0) => return drop(input.send(end, &[])),
                    Ok(n) => input.send(frame, &buffer[..n]),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return input.give_up(error),
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
        let _ = self.0.stream.shutdown(Shutdown::Both);
    }
}

impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(CHUNK);
        self.send(STDIN, &bytes[..n]).map(|()| n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A connection: the reader's side of it.
struct Connection {
    reader: BufReader<UnixStream>,
    input: Input,
    end: Option<Instant>,
    left: usize,  // bytes of the frame under way that were not given out
    taken: usize, // bytes of the reader's buffer that were
}

impl Connection {
    fn new(address: &str, port: u32, end: Option<Instant>) -> Result<Self> {
        let attempt = Instant::now() + ANSWER_TIME;
        let attempt = end.map_or(attempt, |end| end.min(attempt));
        // Aside, as the standard library has no connect with an end for these sockets.
        let (sender, receiver) = mpsc::channel();
        let to = address.to_owned();
        thread::spawn(move || sender.send(connect(&to, port)));
        let patience = attempt.saturating_duration_since(Instant::now());
        let stream = receiver.recv_timeout(patience).map_err(|_| Error::Timeout)??;
        if let Some(end) = end {
            let left = end.saturating_duration_since(Instant::now());
            stream.set_write_timeout(Some(left.max(Duration::from_millis(1))))?;
        }
        let outlet = Outlet { stream: stream.try_clone()?, cause: Mutex::new(None) };
        let mut connection = Connection {
            reader: BufReader::with_capacity(CHUNK, stream),
            input: Input(Arc::new(outlet)),
            end: Some(attempt),
            left: 0,
            taken: 0,
        };
        if address.starts_with("unix:") {
            connection.shake_hands(port)?;
            connection.reader.get_ref().set_read_timeout(None)?;
        }
        connection.end = end;
        Ok(connection)
    }

    /// Asks the VMM for a port of the guest. It closes while nobody listens there.
    fn shake_hands(&mut self, port: u32) -> Result<()> {
        let mut line = Vec::new();
        let _ = (&self.input.0.stream).write_all(format!("CONNECT {port}\n").as_bytes());
        while line.last() != Some(&b'\n') && line.len() < 32 {
            self.left = 1;
            line.append(&mut self.hold()?);
        }
        match line.starts_with(b"OK ") {
            true => Ok(()),
            false => Err(Error::Protocol("no OK to CONNECT".into())),
        }
    }

    /// Begins the next frame. What was left of the one before is dropped.
    fn next(&mut self) -> Result<u8> {
        while !self.piece()?.is_empty() {}
        self.left = 5;
        let header = self.hold()?;
        let length = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
        if length as usize > FRAME_MAX {
            return Err(Error::Protocol(format!("a frame of {length} bytes")));
        }
        self.left = length as usize;
        Ok(header[0])
    }

    /// The next bytes of the frame, as they come; none at its end.
    fn piece(&mut self) -> Result<&[u8]> {
        self.reader.consume(std::mem::take(&mut self.taken));
        if self.left > 0 {
            self.fill()?;
            self.taken = self.reader.buffer().len().min(self.left);
            self.left -= self.taken;
        }
        Ok(&self.reader.buffer()[..self.taken])
    }

    /// The rest of the frame.
    fn hold(&mut self) -> Result<Vec<u8>> {
        if self.left > HELD_MAX {
            return Err(Error::Protocol(format!("{} bytes to be held", self.left)));
        }
        let mut held = Vec::new();
        while self.left > 0 {
            held.extend_from_slice(self.piece()?);
        }
        Ok(held)
    }

    /// Has something in the reader's buffer.
    fn fill(&mut self) -> Result<()> {
        while self.reader.buffer().is_empty() {
            if let Some(end) = self.end {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Error::Timeout);
                }
                self.reader.get_ref().set_read_timeout(Some(left))?;
            }
            match self.reader.fill_buf() {
                Ok(bytes) if !bytes.is_empty() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() != io::ErrorKind::ConnectionReset => return Err(error.into()),
                _ => return Err(self.lost()),
            }
        }
        Ok(())
    }

    fn lost(&self) -> Error {
        // Whoever writes beside it may hold the lock until then.
        let _ = self.reader.get_ref().shutdown(Shutdown::Both);
        let cause = self.input.0.cause.lock().ok().and_then(|mut cause| cause.take());
        cause.map_or(Error::Lost, Error::Io)
    }

    /// Reads to the last frame of a request of port 53.
    fn file_result(&mut self, sink: &mut impl Write, last: u8) -> Result<()> {
        loop {
            match self.next()? {
                FILE_DATA => {
                    while self.left > 0 {
                        sink.write_all(self.piece()?).map_err(Error::Io)?;
                    }
                }
                FILE_ERR => {
                    let text = self.hold()?;
                    return Err(Error::File(String::from_utf8_lossy(&text).into_owned()));
                }
                frame if frame == last => return Ok(()),
                _ => {}
            }
        }
    }
}

impl Drop for Connection {
    /// Whoever writes beside it is let go too.
    fn drop(&mut self) {
        let _ = self.reader.get_ref().shutdown(Shutdown::Both);
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

/// The standard library knows no vsock, but what it knows of a connected Unix socket is true of
/// one of these too. See vsock(7).
mod vsock {
    use std::os::unix::{io::FromRawFd, net::UnixStream};
    use std::{io, mem};

    const AF_VSOCK: u16 = 40;
    const SOCK_STREAM_CLOEXEC: i32 = 0o2_000_001;

    #[repr(C)]
    #[derive(Default)]
    struct Address {
        family: u16,
        reserved: u16,
        port: u32,
        cid: u32,
        zero: [u8; 4],
    }

    extern "C" {
        fn socket(domain: i32, kind: i32, protocol: i32) -> i32;
        fn connect(fd: i32, address: *const Address, length: u32) -> i32;
    }

    /// The kernel gives up within 2 s where the VM does not answer.
    pub fn connect_to(cid: u32, port: u32) -> io::Result<UnixStream> {
        let address = Address { family: AF_VSOCK, port, cid, ..Address::default() };
        // SAFETY: the descriptor is nobody else's; the address is what the kernel takes it for.
        unsafe {
            let fd = socket(AF_VSOCK.into(), SOCK_STREAM_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            let stream = UnixStream::from_raw_fd(fd);
            match connect(fd, &address, mem::size_of::<Address>() as u32) {
                0 => Ok(stream),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}
