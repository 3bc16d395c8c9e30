//! Pseudo-terminals in place of consoles: hung up, stuck, noisy, or not there.

use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::tcgetattr;
use nix::time::ClockId;

use super::*;
use crate::recovery::keys::key;

/// One test at a time: a terminal that was hung up is opened again by its name, which the next one may have by then.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn terminal() -> (PtyMaster, PathBuf) {
    let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = PathBuf::from(ptsname_r(&master).unwrap());
    (master, path)
}

fn type_on(master: &PtyMaster, bytes: &[u8]) {
    nix::unistd::write(master, bytes).unwrap();
}

/// What this thread has used of a processor.
fn used() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().unwrap().into()
}

fn soon(milliseconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(milliseconds))
}

#[test]
fn text_goes_to_all_and_a_key_comes_from_any() {
    let _turn = turn();
    let ((first, one), (second, two)) = (terminal(), terminal());
    let mut terminals = Terminals::of(vec![one.clone(), two.clone()]);
    terminals.write("lamina\n");
    for master in [&first, &second] {
        let mut read = [0; 64];
        let length = nix::unistd::read(master, &mut read).unwrap();
        assert_eq!(&read[..length], b"lamina\r\n");
    }
    for (master, path) in [(&second, two), (&first, one)] {
        // Without Enter, and without an echo.
        type_on(master, b"s");
        assert_eq!(terminals.wait(None), Typed::Bytes(b"s".to_vec(), path));
    }
    assert_eq!(terminals.wait(soon(10)), Typed::TimeIsUp);
}

#[test]
fn the_settings_are_given_back_for_the_shell() {
    let _turn = turn();
    let (_master, path) = terminal();
    let flags = || tcgetattr(File::open(&path).unwrap()).unwrap().local_flags;
    let before = flags();
    assert!(before.contains(LocalFlags::ICANON | LocalFlags::ECHO));
    let mut terminals = Terminals::of(vec![path.clone()]);
    assert!(!flags().intersects(LocalFlags::ICANON | LocalFlags::ECHO));
    terminals.close();
    assert_eq!(flags(), before);
    assert!(terminals.had_one() && terminals.are_none());
}

#[test]
fn a_line_that_hangs_up_is_nobody_and_does_not_cost_a_processor() {
    let _turn = turn();
    let (master, path) = terminal();
    let mut terminals = Terminals::of(vec![path]);
    drop(master);
    assert_eq!(terminals.wait(None), Typed::Nobody);
    let before = used();
    assert_eq!(terminals.wait(soon(1500)), Typed::TimeIsUp);
    assert!(used() - before < Duration::from_millis(200));
}

#[test]
fn a_keyboard_that_ends_at_once_is_nobody_and_the_other_one_still_counts() {
    let _turn = turn();
    let mut terminals = Terminals::of(vec!["/dev/null".into()]);
    assert_eq!(terminals.wait(None), Typed::Nobody);
    let before = used();
    assert_eq!(terminals.wait(soon(2500)), Typed::TimeIsUp);
    assert!(used() - before < Duration::from_millis(200));

    let (master, path) = terminal();
    let mut terminals = Terminals::of(vec![path.clone(), "/dev/null".into()]);
    type_on(&master, b"b");
    assert_eq!(terminals.wait(None), Typed::Bytes(b"b".to_vec(), path));
}

#[test]
fn no_console_is_nobody_and_the_time_is_kept() {
    let _turn = turn();
    let mut terminals = Terminals::of(vec!["/dev/does-not-exist".into()]);
    assert!(terminals.are_none() && !terminals.had_one());
    assert_eq!(terminals.wait(None), Typed::Nobody);
    assert_eq!(terminals.wait(soon(50)), Typed::TimeIsUp);
}

#[test]
fn noise_is_no_key_and_costs_little() {
    let _turn = turn();
    let (master, path) = terminal();
    let mut terminals = Terminals::of(vec![path]);
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                // The line takes what fits; `b` and `p` are keys that must not be found in it.
                let mut polled = [PollFd::new(master.as_fd(), PollFlags::POLLOUT)];
                if poll(&mut polled, PollTimeout::from(10u8)) == Ok(1) {
                    type_on(&master, b"pb\xff\0pp\x80b");
                }
            }
        });
        let before = used();
        let until = soon(1500);
        loop {
            match terminals.wait(until) {
                Typed::Bytes(bytes, _) => assert_eq!(key(&bytes), None, "{bytes:?}"),
                end => break assert_eq!(end, Typed::TimeIsUp),
            }
        }
        assert!(used() - before < Duration::from_millis(300), "{:?}", used() - before);
        ended.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_console_that_takes_nothing_does_not_keep_the_others_from_the_text() {
    let _turn = turn();
    let ((stuck, one), (other, two)) = (terminal(), terminal());
    let path = one.clone();
    let mut terminals = Terminals::of(vec![one, two]);
    let began = Instant::now();
    let reader = thread::spawn(move || {
        let (mut all, mut read) = (0, [0; 4096]);
        while all < 600_000 {
            all += nix::unistd::read(&other, &mut read).unwrap();
        }
    });
    terminals.write(&"x".repeat(300_000));
    terminals.write(&"y".repeat(300_000));
    reader.join().unwrap();
    // Waited for when it stopped taking anything, and not again for every piece of text.
    let stuck_for = console::STUCK;
    assert!(began.elapsed() >= stuck_for && began.elapsed() < 4 * stuck_for, "{:?}", began.elapsed());
    assert!(was_stuck(&path), "the next screen does not wait for it either");
    assert!(stuck.as_raw_fd() >= 0);
}

#[test]
fn the_size_is_that_of_the_terminal() {
    let _turn = turn();
    let (master, path) = terminal();
    let terminals = Terminals::of(vec![path]);
    assert_eq!(terminals.size(), ScreenSize::ASSUMED);
    let size = rustix::termios::Winsize { ws_row: 20, ws_col: 132, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(&master, size).unwrap();
    assert_eq!(terminals.size(), ScreenSize { rows: 20, columns: 132 });
}

#[test]
fn the_kernels_list_names_the_nodes() {
    let nodes =
        |active, there: &[&str]| consoles(active, |path| there.iter().any(|node| Path::new(node) == path));
    assert_eq!(
        nodes("tty0 ttyS0\n", &["/dev/tty0", "/dev/ttyS0"]),
        ["/dev/tty0", "/dev/ttyS0"].map(PathBuf::from)
    );
    assert_eq!(nodes("tty0 netcon0", &["/dev/tty0"]), [PathBuf::from("/dev/tty0")]);
    assert_eq!(nodes("ttyS0", &[]), [PathBuf::from("/dev/console")]);
    assert_eq!(nodes("", &[]), [PathBuf::from("/dev/console")]);
    assert!(nodes("ttynull\n", &["/dev/ttynull"]).is_empty());
}
