//! A value that a test reads from a database beside the program that it tests, whichever database that is.

/// A value of a row's first column, from the text that `psql` prints or [`crate::cell`]'s user makes of it.
pub trait Cell: Sized {
    /// The value whose text this is: a boolean is `t` or `1`, bytes are in hexadecimal, `\x` before them or not.
    fn from_text(text: &str) -> Self;
}

impl Cell for String {
    fn from_text(text: &str) -> Self {
        text.to_owned()
    }
}

impl Cell for bool {
    fn from_text(text: &str) -> Self {
        match text {
            "t" | "1" => true,
            "f" | "0" => false,
            other => panic!("not a boolean: {other:?}"),
        }
    }
}

impl Cell for i64 {
    fn from_text(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
    }
}

impl Cell for u32 {
    fn from_text(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| panic!("not a number: {text:?}"))
    }
}

impl Cell for Vec<u8> {
    fn from_text(text: &str) -> Self {
        let digits = text.strip_prefix("\\x").unwrap_or(text);
        let byte = |at| {
            u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_else(|_| panic!("not bytes: {text:?}"))
        };
        (0..digits.len()).step_by(2).map(byte).collect()
    }
}
