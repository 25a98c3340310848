//! What holds of every format and any bytes: no panic, and no line's answer depends on the lines before it, nor on whether
//! it is read by a layout that was learned from them or by the parser of its kind.

use std::ops::ControlFlow;
use std::sync::OnceLock;

use overstay::call::{Call, Reason};
use overstay::formats::{Format, detect};
use overstay::input::{Found, Input, Line, Options, Place};
use overstay::parse::Scratch;

/// The built-in formats of a kind, and one that is written for it.
pub fn formats(kind: &str, own: &str) -> Vec<Format> {
    let built_in = Format::BUILT_IN.into_iter().filter_map(Format::built_in);
    let mut all: Vec<Format> = built_in.filter(|format| format.kind() == kind).collect();
    let table = own.parse().expect("the target's own format is TOML");
    all.push(Format::from_toml("own", &table).expect("the target's own format compiles"));
    all
}

/// Reads a log in each of the formats, whole and line by line, and tells the format of it.
pub fn read(formats: &'static OnceLock<Vec<Format>>, kind: &str, own: &str, data: &[u8]) {
    let formats = formats.get_or_init(|| self::formats(kind, own));
    let all: Vec<&Format> = formats.iter().collect();
    let _ = detect(&all, data);
    for format in formats {
        let whole = calls(format, data, 1 << 20);
        // However small the pieces.
        assert_eq!(whole, calls(format, data, 1), "{}", format.name());
    }
}

/// What each line of a log comes to, with what is told of it after others and alone.
fn calls(format: &Format, data: &[u8], chunk_bytes: usize) -> Vec<(u64, String)> {
    let options = Options { chunk_bytes, ..Options::default() };
    let input = Input::from_reader(Box::new(std::io::Cursor::new(data.to_vec())), &options);
    let Ok(input) = input else { return Vec::new() };
    // A stream is never opened again, so whose name it has does not matter.
    let place = Found { place: Place::Stdin, shown: "-".to_owned() };
    let Ok(input) = input.framed(format.framing(), &place, &options) else { return Vec::new() };
    let mut all = Vec::new();
    let _ = input.for_each_in_order(
        &|_| {},
        |piece| {
            let (mut scratch, mut told) = (Scratch::default(), Vec::new());
            format.begin(piece.directive, &mut scratch);
            let mut directive = piece.directive.map(<[u8]>::to_vec);
            for line in piece.lines() {
                let Line::Content { offset, bytes } = line else { continue };
                if format.directive(bytes, &mut scratch) {
                    // Other comments of `w3c` say nothing of the lines after them.
                    if !bytes.starts_with(b"#") || bytes.starts_with(b"#Fields:") {
                        directive = Some(bytes.to_vec());
                    }
                    continue;
                }
                let after_others = text(format.parse(bytes, &mut scratch));
                let mut alone = Scratch::without_layouts();
                format.begin(directive.as_deref(), &mut alone);
                assert_eq!(
                    after_others,
                    text(format.parse(bytes, &mut alone)),
                    "{}",
                    format.name()
                );
                // By now its layout is known, if it has one.
                let after_itself = text(format.parse(bytes, &mut scratch));
                assert_eq!(after_itself, after_others, "{}", format.name());
                told.push((offset, after_others));
            }
            told
        },
        |told| {
            all.extend(told);
            ControlFlow::Continue(())
        },
    );
    all
}

fn text(parsed: Result<Call<'_>, Reason>) -> String {
    format!("{parsed:?}")
}
