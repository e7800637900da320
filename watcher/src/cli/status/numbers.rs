//! Numbers, for people.

/// With its thousands apart: `10,000`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something: `1 entry`, `10,000 entries`.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number as u64), if number == 1 { one } else { many })
}

/// A size in bytes: `36.2 MiB`.
pub(super) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let all = [0, 12, 999, 1_000, 10_000, 1_234_567].map(grouped);
        assert_eq!(all, ["0", "12", "999", "1,000", "10,000", "1,234,567"]);
        assert_eq!(counted(1, "entry", "entries"), "1 entry");
        assert_eq!(counted(5_000, "entry", "entries"), "5,000 entries");
        assert_eq!(mebibytes(37_958_451), "36.2 MiB");
    }
}
