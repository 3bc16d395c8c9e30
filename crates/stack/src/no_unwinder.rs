//! Takes the place of the unwinder in static programs: 210 KB less in PID 1, because nothing then asks for the names of functions.
//!
//! The standard library calls these (Itanium C++ ABI, "Exception Handling", level I) to print a backtrace and to unwind. PID 1 does neither:
//! it is compiled with `panic = "abort"`, its panic hook shows the recovery screen, and a stripped program has no names to
//! print. A linker takes libunwind out of its archive only for symbols that nobody else defines.

#![expect(unsafe_code, reason = "the symbols are looked up by their C names, which is what `no_mangle` says")]

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`: there is nothing to walk through.
const END_OF_STACK: c_int = 5;

/// Walks no frame.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_trace: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Cannot be reached without an exception, which nothing here can throw.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume(_exception: *mut c_void) -> ! {
    std::process::abort()
}

/// Declares accessors of a frame: no frame is ever handed out, so that none of them is called.
macro_rules! accessors {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name(_context: *mut c_void) -> usize {
                0
            }
        )*
    };
}

accessors! {
    _Unwind_GetDataRelBase
    _Unwind_GetIP
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
}

/// As the accessors.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIPInfo(_context: *mut c_void, _before: *mut c_int) -> usize {
    0
}

/// As the accessors.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetGR(_context: *mut c_void, _register: c_int, _value: usize) {}

/// As the accessors.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetIP(_context: *mut c_void, _value: usize) {}
