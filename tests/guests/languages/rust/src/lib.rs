//! What a tool in Rust can do: one function for each row of docs/languages.md.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, fs, process, thread};

wit_bindgen::generate!({ world: "matrix", path: "../wit" });

struct Matrix;

impl Guest for Matrix {
    fn echo_text(value: String) -> String {
        value
    }

    fn echo_numbers(value: Numbers) -> Numbers {
        value
    }

    fn echo_mood(value: Mood) -> Mood {
        value
    }

    fn echo_days(value: Days) -> Days {
        value
    }

    fn echo_place(value: Place) -> Place {
        value
    }

    fn echo_person(value: Person) -> Person {
        value
    }

    fn echo_option(value: Option<String>) -> Option<String> {
        value
    }

    fn echo_result(value: Result<u32, String>) -> Result<u32, String> {
        value
    }

    fn echo_list(value: Vec<String>) -> Vec<String> {
        value
    }

    fn echo_bytes(value: Vec<u8>) -> Vec<u8> {
        value
    }

    fn echo_tuple(value: (String, i32)) -> (String, i32) {
        value
    }

    fn print(out: String, err: String) {
        println!("{out}");
        eprintln!("{err}");
    }

    fn read_file(path: String) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn write_file(path: String, text: String) -> Result<(), String> {
        fs::write(path, text).map_err(|error| error.to_string())
    }

    fn variable(name: String) -> Option<String> {
        env::var(name).ok()
    }

    fn now() -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.expect("it is later than 1970").as_millis() as u64
    }

    fn random() -> Vec<u8> {
        let mut bytes = vec![0; 16];
        // SAFETY: it is wasi-libc's, which fills so many bytes at this address.
        let failed = unsafe { getentropy(bytes.as_mut_ptr(), bytes.len()) };
        assert_eq!(failed, 0);
        bytes
    }

    fn sleep(milliseconds: u32) -> u32 {
        let began = Instant::now();
        thread::sleep(Duration::from_millis(milliseconds.into()));
        began.elapsed().as_millis() as u32
    }

    fn exit_with(code: u8) {
        process::exit(code.into())
    }

    fn fail() {
        panic!("so it goes");
    }

    fn spin() {
        loop {
            std::hint::spin_loop();
        }
    }
}

unsafe extern "C" {
    fn getentropy(buffer: *mut u8, length: usize) -> i32;
}

export!(Matrix);
