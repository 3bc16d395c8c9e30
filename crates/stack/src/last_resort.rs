//! What is left when PID 1 crashes: a signal handler that starts the program anew, or restarts the machine.
//!
//! A panic of Rust has its hook. A failed allocation, an overflowing stack, an illegal instruction and a bus error of a mapped
//! file have none: they end the process, and with PID 1 the kernel. signal(7) and `force_sig_info_to_task()` of the kernel's
//! `kernel/signal.c` say when a handler helps: the kernel takes PID 1's protection away only for a fault whose signal has no
//! handler, is ignored, or is blocked. So the handlers stand from the first call of `main` on, and nothing is blocked while
//! they run.
//!
//! execve(2) is the way out, because it needs nothing of the broken process: the kernel ends the other threads, gives the
//! memory back and closes the files. The new life learns of it from [`DIED`]. When it dies too, or cannot be started, the
//! machine is restarted. What happens before `main`, an execve(2) that fails when the old memory is gone already, and a fault inside
//! musl while it blocks all signals (it does so for a moment in pthread_create(3), fork(2), posix_spawn(3) and abort(3)) cannot be
//! caught: then the kernel panics, and `panic=` of its command line decides.
//!
//! The handlers only make system calls: no allocation, no lock. They run on a stack of their own, since the ordinary one may be
//! what has failed: the first thread's is here, and every other one has that of the standard library, 8 KiB, of which the
//! processor's registers may take a half.

#![expect(
    unsafe_code,
    reason = "signal handlers, their stack, and execve(2) without an allocation have no safe interface"
)]

use std::ffi::{CStr, CString, OsString, c_char, c_int, c_void};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, gettid, sync};

/// The environment variable that says, to the next life, which signal ended this one: `SIGSEGV`, or `SIGSEGV (stack overflow)`.
pub const DIED: &str = "LAMINA_DIED";

/// Signals that end a process for a fault of its own, each with what the next life gets to know.
const DEADLY: [(Signal, &CStr); 7] = [
    (Signal::SIGSEGV, c"LAMINA_DIED=SIGSEGV"),
    (Signal::SIGBUS, c"LAMINA_DIED=SIGBUS"),
    (Signal::SIGILL, c"LAMINA_DIED=SIGILL"),
    (Signal::SIGFPE, c"LAMINA_DIED=SIGFPE"),
    (Signal::SIGABRT, c"LAMINA_DIED=SIGABRT"),
    (Signal::SIGSYS, c"LAMINA_DIED=SIGSYS"),
    (Signal::SIGTRAP, c"LAMINA_DIED=SIGTRAP"),
];
const OVERFLOW: &CStr = c"LAMINA_DIED=SIGSEGV (stack overflow)";

/// How long the console may take to have room for a line, in milliseconds.
const CONSOLE_MS: u16 = 2000;
/// Time to read one line, where `panic=` says nothing.
const SECONDS_TO_READ: u64 = 30;
/// How long the disks may take in the end.
const MOST_FOR_SYNC: Duration = Duration::from_secs(30);
/// The kernel gives PID 1 at most 32 arguments and 32 variables (MAX_INIT_ARGS, MAX_INIT_ENVS of its `init/main.c`).
const MOST_WORDS: usize = 48;
/// Room for the largest register sets (AT_MINSIGSTKSZ of getauxval(3) is 11 KiB with AMX) and for the handler.
const STACK_SIZE: usize = 32 * 1024;

/// The signal stack of the first thread: not from the heap, since memory may be what is missing.
static mut STACK: [u8; STACK_SIZE] = [0; STACK_SIZE];
/// The process that is protected: its children die as any process does.
static PROTECTED: AtomicI32 = AtomicI32::new(0);
/// Whether a death may lead to another life.
static MAY_START_ANEW: AtomicBool = AtomicBool::new(false);
/// Seconds before the machine is restarted.
static SECONDS: AtomicU64 = AtomicU64::new(SECONDS_TO_READ);
/// Arguments and environment of the next life.
static WORDS: OnceLock<Words> = OnceLock::new();
/// Whether the end is off, and not a restart.
static POWER_OFF: AtomicBool = AtomicBool::new(false);
/// The thread that died first: the others wait for what it does.
static DYING: AtomicI32 = AtomicI32::new(0);
/// Whether that thread has died again, in the handler.
static DIED_AGAIN: AtomicBool = AtomicBool::new(false);

struct Words {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// Protects this process from now on. Call it before anything else, in the first thread: it allocates nothing, and what the
/// kernel refuses is left as it was.
pub fn install() {
    PROTECTED.store(getpid().as_raw(), Ordering::Relaxed);
    // SAFETY: getenv(3) reads a string that ends with a NUL; no other thread runs yet that could change the environment.
    let died_before = unsafe { libc::getenv(c"LAMINA_DIED".as_ptr()) };
    MAY_START_ANEW.store(died_before.is_null(), Ordering::Relaxed);
    let stack = libc::stack_t { ss_sp: (&raw mut STACK).cast(), ss_flags: 0, ss_size: STACK_SIZE };
    // SAFETY: the memory is static, nothing else uses it, and the size is its own.
    let _ = unsafe { libc::sigaltstack(&raw const stack, null_mut()) };
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK | SaFlags::SA_NODEFER;
    let action = SigAction::new(SigHandler::SigAction(died), flags, SigSet::empty());
    for (signal, _) in DEADLY {
        // SAFETY: the handler makes system calls, and reads and writes atomics, only: signal-safety(7).
        let _ = unsafe { sigaction(signal, &action) };
    }
    // Whoever started this program may have blocked them; a fault whose signal is blocked ends PID 1 at once.
    let _ = DEADLY.iter().map(|(signal, _)| *signal).collect::<SigSet>().thread_unblock();
}

/// The next life gets these arguments (the program's name first) and this environment, and [`DIED`]. Without this call it
/// gets only the name `/init` and [`DIED`].
pub fn keep(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) {
    let variable = |(mut name, value): (OsString, OsString)| {
        name.push("=");
        name.push(value);
        CString::new(name.into_vec()).ok()
    };
    let arguments = arguments.into_iter().filter_map(|word| CString::new(word.into_vec()).ok()).collect();
    let environment = environment.into_iter().filter(|(name, _)| name != DIED).filter_map(variable).collect();
    let _ = WORDS.set(Words { arguments, environment });
}

/// `panic=` of the kernel's command line: seconds before a restart; negative means none, 0 and nothing the usual time.
pub fn wait_as(panic: Option<i64>) {
    let seconds = match panic {
        Some(seconds @ 1..) => seconds.unsigned_abs(),
        Some(..0) => 0,
        Some(0) | None => SECONDS_TO_READ,
    };
    SECONDS.store(seconds, Ordering::Relaxed);
}

/// A death restarts the machine at once: there is nothing to come back to.
pub fn only_restart() {
    MAY_START_ANEW.store(false, Ordering::Relaxed);
    SECONDS.store(0, Ordering::Relaxed);
}

/// A death switches the machine off at once.
pub fn only_power_off() {
    only_restart();
    POWER_OFF.store(true, Ordering::Relaxed);
}

/// Reads from address 0.
#[cfg(feature = "panic-for-tests")]
pub fn read_from_nowhere() -> u8 {
    let nowhere = std::hint::black_box(null::<u8>());
    // SAFETY: it is not: the fault is what the tests want.
    unsafe { nowhere.read_volatile() }
}

/// The handler.
extern "C" fn died(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if getpid().as_raw() != PROTECTED.load(Ordering::Relaxed) {
        return die_as_any_process(number);
    }
    let this = gettid().as_raw();
    match DYING.compare_exchange(0, this, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => {}
        // The handler itself has died: once more is too often.
        Err(first) if first == this && !DIED_AGAIN.swap(true, Ordering::Relaxed) => end("its last resort"),
        Err(_) => wait_for_ever(),
    }
    let _ = SigSet::empty().thread_set_mask();
    let variable = if overflowed(number, info, context) { OVERFLOW } else { variable(number) };
    let cause = variable.to_str().unwrap_or_default().split_once('=').map_or("a signal", |(_, cause)| cause);
    if MAY_START_ANEW.load(Ordering::Relaxed) {
        say(format_args!("lamina: PID 1 died of {cause}; starting it anew"));
        start_anew(variable);
    }
    end(cause)
}

fn variable(number: c_int) -> &'static CStr {
    DEADLY.iter().find(|(signal, _)| *signal as c_int == number).map_or(c"LAMINA_DIED=?", |(_, text)| text)
}

/// A child that has not become another program yet.
fn die_as_any_process(number: c_int) {
    let Ok(signal) = Signal::try_from(number) else { return };
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: takes the handler away.
    let _ = unsafe { sigaction(signal, &default) };
    let _ = raise(signal);
}

/// Whether the address that could not be reached lies at the end of the stack.
#[cfg(target_arch = "x86_64")]
fn overflowed(number: c_int, info: *mut libc::siginfo_t, context: *mut c_void) -> bool {
    const NEAR: usize = 64 * 1024;
    // SAFETY: with SA_SIGINFO the kernel passes a siginfo_t that lives as long as the handler runs.
    let Some(info) = (unsafe { info.as_ref() }) else { return false };
    // SAFETY: with SA_SIGINFO the third argument is a ucontext_t, on the signal stack as well.
    let Some(context) = (unsafe { context.cast::<libc::ucontext_t>().as_ref() }) else { return false };
    // A positive code is the kernel's; of a signal that a process sent the field holds something else.
    if number != libc::SIGSEGV || info.si_code <= 0 {
        return false;
    }
    // SAFETY: for SIGSEGV from the kernel that member of the union is the one in use: sigaction(2).
    let address = unsafe { info.si_addr() }.addr();
    let stack = usize::try_from(context.uc_mcontext.gregs[libc::REG_RSP as usize]).unwrap_or(0);
    stack.abs_diff(address) < NEAR
}

#[cfg(not(target_arch = "x86_64"))]
fn overflowed(_number: c_int, _info: *mut libc::siginfo_t, _context: *mut c_void) -> bool {
    false
}

/// Returns when the kernel refuses.
fn start_anew(variable: &CStr) {
    let mut arguments: [*const c_char; MOST_WORDS] = [null(); MOST_WORDS];
    let mut environment = arguments;
    arguments[0] = c"/init".as_ptr();
    environment[0] = variable.as_ptr();
    if let Some(words) = WORDS.get() {
        // The last place stays empty: it ends the list.
        let places = arguments[..MOST_WORDS - 1].iter_mut();
        places.zip(&words.arguments).for_each(|(place, word)| *place = word.as_ptr());
        let places = environment[1..MOST_WORDS - 1].iter_mut();
        places.zip(&words.environment).for_each(|(place, word)| *place = word.as_ptr());
    }
    for program in [c"/proc/self/exe", c"/init"] {
        // SAFETY: three addresses of strings and lists that end as execve(2) asks for, and live until it is done.
        unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    }
}

/// One line, time to read it, what was written on the disks, and reboot(2).
fn end(cause: &str) -> ! {
    let seconds = SECONDS.load(Ordering::Relaxed);
    let off = POWER_OFF.load(Ordering::Relaxed);
    let what = if off { "powering off" } else { "rebooting" };
    say(format_args!("lamina: PID 1 died of {cause} and cannot go on; {what} in {seconds} s"));
    std::thread::sleep(Duration::from_secs(seconds));
    write_back();
    if getpid().as_raw() == 1 {
        if off {
            let _ = reboot(RebootMode::RB_POWER_OFF);
        }
        let _ = reboot(RebootMode::RB_AUTOBOOT);
    } else {
        // A test of this module: the machine is not its own.
        let _ = kill(getpid(), Signal::SIGKILL);
    }
    wait_for_ever()
}

/// sync(2), in a child: a disk that does not answer keeps whoever asks it, for ever.
fn write_back() {
    // SAFETY: with no flag but the signal, clone(2) is fork(2), without what the C library's fork does besides, which may wait
    // for a lock that the broken process holds. The child makes two system calls and needs nothing of the library.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    match i32::try_from(child) {
        Ok(0) => {
            sync();
            // SAFETY: ends this process, and runs nothing before.
            unsafe { libc::_exit(0) }
        }
        Ok(child @ 1..) => {
            let deadline = Instant::now() + MOST_FOR_SYNC;
            let still =
                || waitpid(Pid::from_raw(child), Some(WaitPidFlag::WNOHANG)) == Ok(WaitStatus::StillAlive);
            while still() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // No room for a process.
        _ => sync(),
    }
}

fn wait_for_ever() -> ! {
    loop {
        nix::unistd::pause();
    }
}

/// To standard error, and to the kernel's log, whose console may be another one.
fn say(line: std::fmt::Arguments<'_>) {
    let mut text = [0; 128];
    let mut rest = &mut text[..];
    let _ = rest.write_fmt(format_args!("\n{line}\n"));
    let left = rest.len();
    let text = &text[..text.len() - left];
    let stderr = std::io::stderr();
    // A console that was stopped with Ctrl-S would keep PID 1 for ever. One that is ready has room for a line.
    let timeout = PollTimeout::from(CONSOLE_MS);
    if poll(&mut [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)], timeout) == Ok(1) {
        let _ = nix::unistd::write(stderr.as_fd(), text);
    }
    if let Ok(log) = open(c"/dev/kmsg", OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty()) {
        // A record is what one call writes; level 2 is "critical" of syslog(2).
        let record = [std::io::IoSlice::new(b"<2>"), std::io::IoSlice::new(&text[1..])];
        let _ = nix::sys::uio::writev(&log, &record);
    }
}
