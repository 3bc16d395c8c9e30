//! Lines that another thread writes while the boot goes on: each takes the processor for half a millisecond and more where a serial line
//! or a frame buffer is written to, and so does a record of the kernel's log, which the kernel itself brings to its consoles.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Something that is to be said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Text for the console, cleaned.
    Console(String),
    /// A record for the kernel's log, with its level.
    Log(String),
}

/// Has another thread call [`Queue::flush`]; false when there is none any more.
type Ask = Box<dyn Fn() -> bool + Send>;

/// What is to be said, in order.
pub(super) struct Queue {
    waiting: Mutex<VecDeque<Said>>,
    ask: Mutex<Option<Ask>>,
    /// Held by whoever writes, so that nobody's line overtakes another's.
    writing: Mutex<()>,
    /// A thread that panicked may hold any of the locks for ever.
    panicked: AtomicBool,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            waiting: Mutex::new(VecDeque::new()),
            ask: Mutex::new(None),
            writing: Mutex::new(()),
            panicked: AtomicBool::new(false),
        }
    }

    /// From here on another thread writes: `ask` has it call [`Queue::flush`].
    pub(super) fn write_beside(&self, ask: impl Fn() -> bool + Send + 'static) {
        *lock(&self.ask) = Some(Box::new(ask));
    }

    /// From here on whoever says something writes it. What waits for the other thread still does.
    pub(super) fn write_here(&self) {
        if let Some(mut ask) = self.lock_if_whole(&self.ask) {
            drop(mem::take(&mut *ask));
        }
    }

    /// As [`Queue::write_here`], for a panic: no lock is waited for any more.
    pub(super) fn panicked(&self) {
        self.panicked.store(true, Ordering::Relaxed);
        self.write_here();
    }

    /// Says something after all that was said before.
    pub(super) fn say(&self, said: Said, write: impl Fn(Said)) {
        let Some(mut waiting) = self.lock_if_whole(&self.waiting) else { return write(said) };
        waiting.push_back(said);
        let is_first = waiting.len() == 1;
        drop(waiting);
        // Who was asked for the first of them takes the others as well.
        let asked = self.lock_if_whole(&self.ask).is_some_and(|ask| match &*ask {
            Some(ask) => !is_first || ask(),
            None => false,
        });
        if !asked {
            self.flush(write);
        }
    }

    /// Writes what waits; when it returns all of it is written, also what another thread had begun with.
    pub(super) fn flush(&self, write: impl Fn(Said)) {
        let _alone = self.lock_if_whole(&self.writing);
        while let Some(said) = self.lock_if_whole(&self.waiting).and_then(|mut waiting| waiting.pop_front()) {
            write(said);
        }
    }

    /// `None` after a panic, when somebody holds it.
    fn lock_if_whole<'a, T>(&self, mutex: &'a Mutex<T>) -> Option<MutexGuard<'a, T>> {
        if !self.panicked.load(Ordering::Relaxed) {
            return Some(lock(mutex));
        }
        match mutex.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;
    use std::thread;

    fn line(number: usize) -> Said {
        Said::Console(number.to_string())
    }

    #[test]
    fn lines_keep_their_order_whoever_writes_them() {
        let queue = Arc::new(Queue::new());
        let written = Arc::new(Mutex::new(Vec::new()));
        let write = {
            let written = written.clone();
            move |said| written.lock().unwrap().push(said)
        };
        let (sender, asked) = mpsc::channel();
        let writer = {
            let (queue, write) = (queue.clone(), write.clone());
            thread::spawn(move || asked.into_iter().for_each(|()| queue.flush(&write)))
        };
        queue.say(line(0), &write);
        assert_eq!(written.lock().unwrap().len(), 1, "nobody else was there to write it");
        queue.write_beside(move || sender.send(()).is_ok());
        (1..1000).for_each(|number| queue.say(line(number), &write));
        queue.write_here();
        (1000..1010).for_each(|number| queue.say(line(number), &write));
        queue.flush(&write);
        assert_eq!(*written.lock().unwrap(), (0..1010).map(line).collect::<Vec<_>>());
        // It was let go.
        writer.join().unwrap();
    }

    #[test]
    fn the_other_thread_is_asked_once_for_what_waits() {
        let (queue, count) = (Queue::new(), Arc::new(AtomicUsize::new(0)));
        let asked = count.clone();
        queue.write_beside(move || asked.fetch_add(1, Ordering::Relaxed) < 1);
        let never = |_| unreachable!("it is not this thread's turn");
        (0..3).for_each(|number| queue.say(line(number), never));
        assert_eq!(count.load(Ordering::Relaxed), 1);
        let written = Mutex::new(Vec::new());
        let write = |said| written.lock().unwrap().push(said);
        queue.flush(write);
        // Nobody takes it now.
        queue.say(line(3), write);
        assert_eq!(*written.lock().unwrap(), (0..4).map(line).collect::<Vec<_>>());
    }

    #[test]
    fn a_panic_in_the_middle_of_a_line_is_told_all_the_same() {
        let queue = Queue::new();
        queue.write_beside(|| true);
        let written = Mutex::new(Vec::new());
        let write = |said| written.lock().unwrap().push(said);
        queue.say(line(0), write);
        let (_writing, _waiting, _ask) =
            (queue.writing.lock().unwrap(), queue.waiting.lock().unwrap(), queue.ask.lock().unwrap());
        queue.panicked();
        queue.say(line(1), write);
        assert_eq!(*written.lock().unwrap(), [line(1)]);
    }
}
