// SPDX-License-Identifier: MIT

//! The first answer: what README shows.

use std::io;
use std::time::Duration;
use vmm_guest::{Command, Guest};

fn main() -> vmm_guest::Result<()> {
    let address = std::env::args().nth(1).expect("an address");
    let guest = Guest::new(&address).boot(Duration::from_secs(30)).limit(Duration::from_secs(60));
    let echo = Command::new(["echo", "hello"]);
    let exit = guest.run(&echo, io::empty(), &mut io::stdout(), &mut io::stderr())?;
    println!("exit code {}", exit.code);
    Ok(())
}
