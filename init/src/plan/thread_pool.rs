//! The threads beside the first one.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, LazyLock};
use std::thread;

type Work = Box<dyn FnOnce() + Send>;

/// A thread that stays for the whole boot, and others that come for one piece of work.
///
/// To start a thread takes as long as to mount a layer or two; and of two threads that are started while a third one works, the
/// kernel's scheduler leaves one for milliseconds on the processor of another.
#[derive(Debug, Default)]
pub struct ThreadPool {
    stays: Option<Sender<Work>>,
}

impl ThreadPool {
    /// Starts the thread that stays. Where the kernel gives none, there is only the first one.
    pub fn start(&mut self) {
        let (sender, work) = mpsc::channel::<Work>();
        let obey = move || work.into_iter().for_each(|work| work());
        self.stays = thread::Builder::new().spawn(obey).ok().map(|_| sender);
    }

    /// Gives work to the thread that stays, which does one after another; false when there is none.
    fn queue(&self, work: impl FnOnce() + Send + 'static) -> bool {
        self.stays.as_ref().is_some_and(|stays| stays.send(Box::new(work)).is_ok())
    }

    /// For whoever has small things to do now and then: gives them to the thread that stays, and says false when there is none. As long
    /// as this is kept, so is the thread.
    pub fn errands(&self) -> impl Fn(fn()) -> bool + Send + use<> {
        let stays = self.stays.clone();
        move |errand| stays.as_ref().is_some_and(|stays| stays.send(Box::new(errand)).is_ok())
    }

    /// Has the thread that stays make a value. Whoever wants it before that makes it.
    pub fn make<T, F>(&self, value: &Arc<LazyLock<T, F>>)
    where
        T: Send + Sync + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let value = value.clone();
        self.queue(move || {
            LazyLock::force(&value);
        });
    }

    /// Has `count` threads do the same, as far as the kernel gives them: what they share must tell them what there is to do.
    pub fn run_on(&self, count: usize, work: &(impl Fn() + Clone + Send + 'static)) {
        let given = usize::from(count > 0 && self.queue(work.clone()));
        for _ in given..count {
            let _ = thread::Builder::new().spawn(work.clone());
        }
    }

    /// Lets the thread go when it has done what it was given: execve(2) would have to wait for its end.
    pub fn stop(&mut self) {
        self.stays = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_value_is_made_once_whoever_makes_it() {
        for has_thread in [false, true] {
            let mut pool = ThreadPool::default();
            if has_thread {
                pool.start();
            }
            let made = Arc::new(Mutex::new(0));
            let counts = made.clone();
            let value = Arc::new(LazyLock::new(move || {
                *counts.lock().unwrap() += 1;
                7
            }));
            pool.make(&value);
            assert_eq!(**value, 7);
            pool.make(&value);
            assert_eq!((**value, *made.lock().unwrap()), (7, 1));
        }
    }
}
