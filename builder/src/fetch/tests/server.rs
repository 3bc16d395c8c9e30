//! The smallest HTTP server that curl talks to, with everything that servers do wrong.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use super::BODY;

#[derive(Clone, Copy)]
pub enum Answer {
    Whole(&'static [u8]),
    /// Says that it is as long as [`BODY`], and ends early.
    Truncated(&'static [u8]),
    /// The same, and then never ends nor goes on.
    Stalled(&'static [u8]),
    /// Says nothing of its length.
    WithoutLength(&'static [u8]),
    /// A status and further header lines, without a body.
    Status(&'static str, &'static str),
    /// All of an answer, as it goes over the line.
    Raw(&'static str),
    /// A head that says nothing of a length, and a body without end.
    Endless,
    /// Closes a connection that has something to say: the kernel answers with RST.
    Reset,
}

/// Its thread ends with the test's process.
pub struct Server {
    port: u16,
    /// Hears of each [`Answer::Stalled`].
    pub stalled: mpsc::Receiver<()>,
}

impl Server {
    /// Several answers for one path are given one after another; the last stays. Other paths get 404.
    pub fn start<const N: usize>(answers: [(&'static str, Answer); N]) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, stalled) = mpsc::channel();
        let mut queues: BTreeMap<&str, VecDeque<Answer>> = BTreeMap::new();
        for (path, answer) in answers {
            queues.entry(path).or_default().push_back(answer);
        }
        std::thread::spawn(move || {
            let mut kept = Vec::new();
            for connection in listener.incoming() {
                let connection = connection.unwrap();
                if let Some(connection) = serve(connection, &mut queues) {
                    kept.push(connection);
                    sender.send(()).unwrap();
                }
            }
        });
        Server { port, stalled }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// Returns a connection that must stay open.
fn serve(mut connection: TcpStream, queues: &mut BTreeMap<&str, VecDeque<Answer>>) -> Option<TcpStream> {
    // Small, so that an answer that comes before the whole request was read leaves something unread: that makes the kernel reset.
    let mut lines = BufReader::with_capacity(16, connection.try_clone().unwrap()).lines();
    let request = lines.next().unwrap().unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let answer = match queues.get_mut(path) {
        Some(queue) if queue.len() > 1 => queue.pop_front(),
        Some(queue) => queue.front().copied(),
        None => Some(Answer::Status("404 Not Found", "")),
    };
    let answer = answer.unwrap();
    if let Answer::Reset = answer {
        return None;
    }
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    if let Answer::Raw(all) = answer {
        connection.write_all(all.as_bytes()).unwrap();
        return None;
    }
    if let Answer::Endless = answer {
        connection.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").unwrap();
        while connection.write_all(&[7; 1 << 16]).is_ok() {}
        return None;
    }
    let (status, head, body) = match answer {
        Answer::Whole(body) => ("200 OK", length(body.len()), body),
        Answer::Truncated(body) | Answer::Stalled(body) => ("200 OK", length(BODY.len()), body),
        Answer::WithoutLength(body) => ("200 OK", String::new(), body),
        Answer::Status(status, head) => (status, head.to_owned() + &length(0), &b""[..]),
        Answer::Reset | Answer::Raw(_) | Answer::Endless => return None,
    };
    let head = format!("HTTP/1.1 {status}\r\n{head}Connection: close\r\n\r\n");
    connection.write_all(&[head.as_bytes(), body].concat()).unwrap();
    matches!(answer, Answer::Stalled(_)).then_some(connection)
}

fn length(bytes: usize) -> String {
    format!("Content-Length: {bytes}\r\n")
}
