//! The guest as the network sees it: its forwarded ports, spoken to from the host.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Services may still be starting when the guest shows its prompt.
const PATIENCE: Duration = Duration::from_secs(60);
const ONE_TRY: Duration = Duration::from_secs(10);

/// A TCP port of the loopback address that nobody uses: `wanted` when it is free, else one that the kernel picks.
pub fn free_port(wanted: u16) -> Result<u16, Failure> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|socket| socket.local_addr());
    let address = bind(wanted).or_else(|_| bind(0)).map_err(Failure::about("looking for a free TCP port"))?;
    Ok(address.port())
}

/// Fetches `path` over HTTP/1.0 (RFC 1945) and returns the whole answer, head and body.
pub fn fetch_page(port: u16, path: &str) -> Result<String, Failure> {
    retry(&format!("fetching {path} from port {port}"), || {
        let mut stream = connect(port)?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: guest\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
}

/// Reads the line with which an SSH server introduces itself (RFC 4253, 4.2).
pub fn ssh_banner(port: u16) -> Result<String, Failure> {
    retry(&format!("waiting for the SSH server behind port {port}"), || {
        let mut stream = connect(port)?;
        let mut banner = [0; 255];
        let length = stream.read(&mut banner)?;
        Ok(String::from_utf8_lossy(&banner[..length]).trim_end().to_owned())
    })
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(ONE_TRY))?;
    Ok(stream)
}

/// QEMU accepts every connection itself and closes it when the guest refuses: an empty answer is a refusal too.
fn retry(what: &str, ask: impl Fn() -> std::io::Result<String>) -> Result<String, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        match answer {
            Ok(answer) if !answer.is_empty() => return Ok(answer),
            _ if Instant::now() < deadline => thread::sleep(Duration::from_millis(300)),
            Ok(_) => return Err(Failure::new(format!("{what}: no answer within {} s", PATIENCE.as_secs()))),
            Err(error) => return Err(Failure::new(format!("{what}: {error}, for {} s", PATIENCE.as_secs()))),
        }
    }
}
