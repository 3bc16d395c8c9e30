//! The part of the soak tests that runs inside a guest. One static program with several roles, so that an initramfs or an
//! image carries one file; which role it plays is its name (`argv[0]`), or `soak_role=` on the kernel command line, which the
//! kernel passes to PID 1 as an environment variable.
//!
//! Everything it has to say goes to the console as lines that start with `soak: `; the driver on the host reads them.

mod arrived;
mod faults;
mod flips;
mod host;
mod logged;
mod machine;
mod power;
mod update;
mod whole;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use machine::{say, switch_off};

/// Where the initramfs of a soak test has this program.
const ITSELF: &str = "/soak-guest";

fn main() -> ExitCode {
    let name = env::args().next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
    let role = env::var("soak_role").unwrap_or(name);
    let done = match role.as_str() {
        "faults" => faults::become_traced(),
        "tracer" => faults::trace(),
        "flips" => flips::run(),
        "record" => power::record(),
        "soak-lives" => power::live(),
        host::ROLE => host::become_program(),
        "soak-arrived" => arrived::arrive(),
        "update" => update::run(),
        "soak-whole" => whole::arrive(),
        role => Err(format!("no such role: {role}")),
    };
    if let Err(why) = done {
        say(&format!("{role} failed: {why}"));
        if std::process::id() == 1 {
            switch_off();
        }
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
