//! What only the daemon is asked: start, memory, idle, reload, padmin, a thousand deaths at once, hundreds of pfiles.

mod deaths;
mod many;
mod scene;
mod single;

use std::fs;

use watcher_tests::program::built;

/// How the bench is started as this.
pub(crate) const OPTION: &str = "--daemon";

pub(crate) fn run(quick: bool) {
    let (sizes, idle, killed): (&[usize], u64, usize) =
        if quick { (&[1, 200], 2, 100) } else { (&[1, 1_000, 10_000], 50, 1_000) };
    single::run(sizes, idle, quick);
    deaths::run(killed);
    let (pfiles, entries) = if quick { (10, 10) } else { (500, 20) };
    many::run(pfiles, entries, quick);
    let size = fs::metadata(built("watcher")).expect("it is built").len() as f64 / f64::from(1 << 20);
    table("binary", &[("size, MiB", size)]);
}

/// Tells figures, each in a row of its own.
fn table(heading: &str, rows: &[(&str, f64)]) {
    println!("## {heading}\n\n| | |\n| --- | ---: |");
    for (what, value) in rows {
        let places = if value.fract() == 0.0 { 0 } else { 2 };
        println!("| {what} | {value:.places$} |");
    }
    println!();
}

/// For people: 10,000.
fn spoken(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([1, 500, 1_000, 10_000, 1_234_567].map(super::spoken), ["1", "500", "1,000", "10,000", "1,234,567"]);
    }
}
