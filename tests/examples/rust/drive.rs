// SPDX-License-Identifier: MIT

//! Drives guest.rs for tests/examples/run, which says what the arguments are, and prints what
//! came of it as one line of JSON.

use std::io::{self, Read, Write};
use std::time::Duration;
use vmm_guest::{quote, Command, Error, Event, Exit, Guest, Input};

#[derive(Default)]
struct Given {
    boot: u64,
    deadline: u64,
    failing: bool,
    mode: u32,
    tty: Option<(u16, u16)>,
    timeout: Option<u32>,
    cwd: Option<String>,
    user: Option<String>,
    env: Vec<(String, String)>,
    steps: Vec<(String, String)>,
    args: Vec<String>,
}

#[derive(Default)]
struct Outcome {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    exit: Option<Exit>,
    status: Option<String>,
    left: bool,
}

/// Standard input, which may fail where it ends.
struct Source {
    failing: bool,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match io::stdin().read(buffer) {
            Ok(0) if self.failing => Err(io::Error::new(io::ErrorKind::Other, "the source fails")),
            result => result,
        }
    }
}

fn size(text: &str) -> (u16, u16) {
    let (columns, rows) = text.split_once('x').expect("a size is COLUMNSxROWS");
    (number(columns), number(rows))
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().ok().unwrap_or_else(|| panic!("not a number: {text}"))
}

fn parse(words: impl Iterator<Item = String>) -> Given {
    let mut given = Given::default();
    let mut words = words;
    for word in words.by_ref().take_while(|word| word != "--") {
        let word = word.trim_start_matches('-');
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let pair = |text: &str| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        match name {
            "boot" => given.boot = number(value),
            "deadline" => given.deadline = number(value),
            "failing" => given.failing = true,
            "mode" => given.mode = number(value),
            "tty" => given.tty = Some(size(value)),
            "timeout" => given.timeout = Some(number(value)),
            "cwd" => given.cwd = Some(value.into()),
            "user" => given.user = Some(value.into()),
            "env" => given.env.push(pair(value)),
            "step" => given.steps.push(pair(value)),
            _ => panic!("no such option: {name}"),
        }
    }
    given.args = words.collect();
    given
}

fn command(given: &Given) -> Command {
    let mut command = Command::new(&given.args);
    if !given.env.is_empty() {
        command = command.env(given.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    if let Some(path) = &given.cwd {
        command = command.working_dir(path);
    }
    if let Some(user) = &given.user {
        command = command.user(user);
    }
    if let Some(seconds) = given.timeout {
        command = command.timeout_seconds(seconds);
    }
    match given.tty {
        Some((columns, rows)) => command.tty(columns, rows),
        None => command,
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Does the steps whose turn it is; false if the last one was to leave.
fn step(steps: &mut Vec<(String, String)>, input: &mut Input, output: &[u8], seen: &mut usize) -> bool {
    while let Some((name, value)) = steps.first() {
        // That the session is over is told by what is read.
        let _ = match name.as_str() {
            "await" => {
                let wanted = unhex(value);
                if !output[*seen..].windows(wanted.len()).any(|bytes| bytes == wanted) {
                    return true;
                }
                *seen = output.len();
                Ok(())
            }
            "stdin" => input.write_all(&unhex(value)),
            "eof" => input.eof(),
            "resize" => input.resize(size(value).0, size(value).1),
            "signal" => input.signal(number(value)),
            _ => return false,
        };
        steps.remove(0);
    }
    true
}

fn run(guest: &Guest, given: &mut Given, outcome: &mut Outcome) -> vmm_guest::Result<()> {
    let command = command(given);
    if given.steps.is_empty() {
        let source = Source { failing: given.failing };
        let exit = guest.run(&command, source, &mut outcome.stdout, &mut outcome.stderr)?;
        outcome.exit = Some(exit);
        return Ok(());
    }
    let mut session = guest.start(&command)?;
    let mut input = session.input();
    let mut seen = 0;
    while step(&mut given.steps, &mut input, &outcome.stdout, &mut seen) {
        match session.event()? {
            Event::Stdout(bytes) => outcome.stdout.extend(bytes),
            Event::Stderr(bytes) => outcome.stderr.extend(bytes),
            Event::Status(_) => {}
            Event::Exit(exit) => {
                outcome.exit = Some(exit);
                return Ok(());
            }
        }
    }
    outcome.left = true;
    Ok(())
}

fn act(action: &str, guest: &Guest, given: &mut Given, outcome: &mut Outcome) -> vmm_guest::Result<()> {
    match action {
        "run" => run(guest, given, outcome)?,
        "put" => guest.put(&given.args[0], given.mode, Source { failing: given.failing })?,
        "get" => guest.get(&given.args[0], &mut outcome.stdout)?,
        _ => {
            let json = given.args.get(1).map_or("", String::as_str);
            let (status, exit) = guest.request(number(&given.args[0]), json)?;
            outcome.status = status;
            outcome.exit = Some(exit);
        }
    }
    Ok(())
}

fn main() {
    let mut args = std::env::args().skip(1);
    let (address, action) = (args.next().expect("an address"), args.next().expect("an action"));
    let mut given = parse(args);
    let mut guest = Guest::new(&address).boot(Duration::from_millis(given.boot));
    if given.deadline > 0 {
        guest = guest.limit(Duration::from_millis(given.deadline));
    }
    let mut outcome = Outcome::default();
    let result = act(&action, &guest, &mut given, &mut outcome);

    print!("{{\"stdout\":\"{}\",\"stderr\":\"{}\"", hex(&outcome.stdout), hex(&outcome.stderr));
    if let Some(exit) = &outcome.exit {
        print!(",\"code\":{},\"signal\":{}", exit.code, exit.signal);
    }
    if let Some(report) = outcome.exit.as_ref().and_then(|exit| exit.report.as_ref()) {
        print!(",\"report\":{report}");
    }
    if let Some(status) = &outcome.status {
        print!(",\"status_text\":{}", quote(status));
    }
    if outcome.left {
        print!(",\"failure\":\"left\"");
    }
    if let Err(error) = &result {
        let failure = match error {
            error if error.is_busy() => "busy",
            Error::Refused { .. } => "refused",
            Error::File(_) => "file",
            Error::Timeout => "deadline",
            Error::Lost => "lost",
            Error::Protocol(_) => "protocol",
            Error::Io(_) => "io",
        };
        let text = match error {
            Error::Refused { text, .. } | Error::File(text) => text.clone(),
            error => error.to_string(),
        };
        if let Error::Refused { code, .. } = error {
            print!(",\"code\":{code}");
        }
        print!(",\"failure\":\"{failure}\",\"text\":{}", quote(&text));
    }
    println!("}}");
}
