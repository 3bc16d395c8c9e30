//! Init starts this beside the real init; see the library.

use std::path::Path;
use std::process::ExitCode;

use guest_agent::{port, readiness, serve};

fn main() -> ExitCode {
    // What a terminal of the system sends to its programs is not for this one.
    let _ = nix::unistd::setsid();
    let _ = std::env::set_current_dir("/");
    let served = port::open(Path::new(port::PATH)).and_then(|port| serve::serve(port, &readiness::wait()));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // /dev/kmsg shows it on the console.
            let _ = std::fs::write("/dev/kmsg", format!("lamina: guest-agent: {}: {error}\n", port::PATH));
            ExitCode::FAILURE
        }
    }
}
