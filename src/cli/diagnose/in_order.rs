//! Many threads work, one item each; what they make of them is handed on in the order of the items, as
//! soon as it is there. Whoever finishes what comes next hands it on, and all that waited for it: nobody
//! is woken for that.

use std::{
    collections::BTreeMap,
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// How many items may be taken before one that is still worked on is done.
const AHEAD: usize = 256;
/// A MIME tree of the allowed depth fits (`crates.md` M1).
const STACK: usize = 8 * 1024 * 1024;

/// What has been done, and what comes next.
struct Done<O, G, E> {
    give: G,
    /// The item whose outcome is handed on next.
    next: usize,
    /// Outcomes of later items.
    waiting: BTreeMap<usize, O>,
    /// Threads that are too far ahead.
    held_back: usize,
    /// The first failure to hand on, which ends the work.
    result: Result<(), E>,
}

/// Does `work`, which must not panic, for each item on `threads` threads and gives the outcomes away in the items' order.
/// The first error of `give` ends the work and is the inner result; the outer one tells of a thread that
/// cannot be started.
pub(super) fn in_order<I, O, E>(
    items: impl Iterator<Item = I> + Send,
    threads: usize,
    work: impl Fn(I) -> O + Sync,
    give: impl FnMut(O) -> Result<(), E> + Send,
) -> io::Result<Result<(), E>>
where
    O: Send,
    E: Send,
{
    let items = Mutex::new(items.enumerate());
    let done = Mutex::new(Done { give, next: 0, waiting: BTreeMap::new(), held_back: 0, result: Ok(()) });
    let moved_on = Condvar::new();
    let take = || lock(&items).next();
    let worker = || {
        while let Some((number, item)) = take() {
            let mut turn = lock(&done);
            while turn.result.is_ok() && number >= turn.next + AHEAD {
                turn.held_back += 1;
                turn = moved_on.wait(turn).unwrap_or_else(PoisonError::into_inner);
                turn.held_back -= 1;
            }
            if turn.result.is_err() {
                return;
            }
            drop(turn);
            let outcome = work(item);
            let mut done = lock(&done);
            done.hand_on(number, outcome);
            if done.held_back > 0 {
                moved_on.notify_all();
            }
        }
    };
    thread::scope(|scope| {
        (0..threads).try_for_each(|_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, worker).map(drop))
    })?;
    Ok(done.into_inner().unwrap_or_else(PoisonError::into_inner).result)
}

impl<O, G: FnMut(O) -> Result<(), E>, E> Done<O, G, E> {
    fn hand_on(&mut self, number: usize, outcome: O) {
        self.waiting.insert(number, outcome);
        while self.result.is_ok()
            && let Some(outcome) = self.waiting.remove(&self.next)
        {
            self.next += 1;
            self.result = (self.give)(outcome);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_the_order_of_the_items_whoever_is_quicker() {
        let mut given = Vec::new();
        let slow_first = |it: u32| {
            (0..(1000 - it) * 20).fold(it, |sum, n| std::hint::black_box(sum ^ n ^ n));
            it
        };
        in_order(0..1000, 4, slow_first, |it| {
            given.push(it);
            Ok::<(), io::Error>(())
        })
        .expect("threads")
        .expect("given");
        assert_eq!(given, (0..1000).collect::<Vec<u32>>());
    }

    #[test]
    fn whoever_takes_no_more_ends_the_work() {
        let taken = Mutex::new(0);
        let items = std::iter::repeat_with(|| *lock(&taken) += 1);
        let mut given = 0;
        let take_ten = |()| {
            given += 1;
            if given == 10 { Err("enough") } else { Ok(()) }
        };
        assert_eq!(in_order(items, 3, |()| (), take_ten).expect("threads"), Err("enough"));
        assert!(*lock(&taken) <= 10 + AHEAD + 3);
    }
}
