//! What a guest prints becomes lines of the host's log: standard output of level info, standard error of level warn, and
//! what a panic says of level error.
//!
//! The standard library prints by `write` and `writev` of the C library, which bring its table of descriptors with them:
//! thirteen interfaces of `wasi:cli` and `wasi:io` that a guest would import, and the host would load and link at each call.
//! The linker takes these definitions first. What opens, reads or connects is the C library's, as before.

#![allow(unsafe_code)] // The C library's signatures have pointers.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};

use crate::log::{Level, write as log};

/// Longer lines are cut in pieces. For text nothing here allocates: what is printed may be that there is no memory left.
const LONGEST: usize = 4096;

/// What was printed since the last line's end.
struct Line {
    bytes: [u8; LONGEST],
    length: usize,
}

struct Streams {
    out: Line,
    err: Line,
}

thread_local! {
    static STREAMS: RefCell<Streams> = const { RefCell::new(Streams { out: Line::new(), err: Line::new() }) };
}

/// Standard library's hint at the end of a panic's message: nobody can set a guest's environment.
const HINT: &str = "note: run with `RUST_BACKTRACE=";

impl Line {
    const fn new() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }

    fn add(&mut self, bytes: &[u8], level: Level) {
        for &byte in bytes {
            if byte == b'\n' {
                self.end(level);
                continue;
            }
            if self.length == LONGEST {
                self.cut(level);
            }
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }

    /// Logs all of it.
    fn end(&mut self, level: Level) {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        say(bytes, level);
        self.length = 0;
    }

    /// Logs what is whole of it, and keeps the beginning of a character.
    fn cut(&mut self, level: Level) {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        let whole = match std::str::from_utf8(bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.length,
        };
        let (now, later) = bytes.split_at(whole);
        say(now, level);
        self.length = later.len();
        self.bytes.copy_within(whole.., 0);
    }
}

fn say(bytes: &[u8], level: Level) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end();
    if !text.is_empty() && !text.starts_with(HINT) {
        log(level, text, &[]);
    }
}

/// A call is over: logs what was printed without a line's end. Of standard output, the standard library keeps that for itself.
/// What stands there when the guest traps is lost.
pub(crate) fn ended<R>(answer: R) -> R {
    STREAMS.with_borrow_mut(|streams| {
        streams.out.end(Level::Info);
        streams.err.end(Level::Warn);
    });
    answer
}

/// Answers how many bytes it took.
fn print(stream: c_int, bytes: &[u8]) -> Option<usize> {
    // A panic in here would print while it is borrowed: then there is nobody left to tell.
    STREAMS.with(|streams| {
        let mut streams = streams.try_borrow_mut().ok()?;
        match stream {
            1 => streams.out.add(bytes, Level::Info),
            2 if std::thread::panicking() => streams.err.add(bytes, Level::Error),
            2 => streams.err.add(bytes, Level::Warn),
            _ => return None,
        }
        Some(bytes.len())
    })
}

/// `ssize_t`, with -1 for any other descriptor: a guest has none.
fn answer(count: Option<usize>) -> isize {
    count.and_then(|count| isize::try_from(count).ok()).unwrap_or(-1)
}

/// write(2).
///
/// # Safety
///
/// `buffer` points to `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(descriptor: c_int, buffer: *const c_void, length: usize) -> isize {
    if length == 0 {
        return 0;
    }
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), length) };
    answer(print(descriptor, bytes))
}

/// `struct iovec` of readv(2).
#[repr(C)]
struct Vector {
    base: *const c_void,
    length: usize,
}

/// writev(2).
///
/// # Safety
///
/// `vectors` points to `count` of them, and each to as many bytes as it says.
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(descriptor: c_int, vectors: *const Vector, count: c_int) -> isize {
    let mut total = 0;
    for number in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the caller's promise.
        let written = unsafe {
            let vector = &*vectors.add(number);
            write(descriptor, vector.base, vector.length)
        };
        if written < 0 {
            return written;
        }
        total += written;
    }
    total
}

/// getenv(3): the host gives no environment, and what a guest sets itself is not read back.
///
/// # Safety
///
/// None is needed: the name is not read.
#[unsafe(no_mangle)]
unsafe extern "C" fn getenv(_name: *const c_char) -> *mut c_char {
    std::ptr::null_mut()
}
