//! The program `init`: the library beside it, and the allocator.

use std::process::ExitCode;

/// musl's own asks the kernel for every few kilobytes and gives them back at once: 70 mmap(2) and as many munmap(2) a boot, and
/// the pages between them are touched anew each time.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    init::run()
}
