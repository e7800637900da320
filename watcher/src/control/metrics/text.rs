//! The text form of figures, in both dialects that scrapers read: OpenMetrics 1.0, and the older one of Prometheus (0.0.4).

use std::fmt::{Display, Write as _};

/// A dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    OpenMetrics,
    Prometheus,
}

impl Dialect {
    /// What a client takes that says so in its `Accept`: OpenMetrics only if it asks for it.
    pub(super) fn wanted(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// What kind of figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows. Its samples end in `_total`.
    Counter,
    Gauge,
    Histogram,
}

/// The text, piece by piece.
pub(super) struct Text<S> {
    dialect: Dialect,
    /// The family that samples belong to now.
    family: (&'static str, Kind),
    piece: String,
    sink: S,
}

/// About so long are pieces.
const PIECE: usize = 16 << 10;

/// Labels of a sample.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

impl<S: FnMut(String)> Text<S> {
    pub(super) const fn new(dialect: Dialect, sink: S) -> Self {
        Self { dialect, family: ("", Kind::Gauge), piece: String::new(), sink }
    }

    /// Begins a family. Its samples have to follow.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) {
        let suffix = if kind == Kind::Counter && self.dialect == Dialect::Prometheus { "_total" } else { "" };
        let kind_name = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.family = (name, kind);
        self.write(format_args!("# TYPE {name}{suffix} {kind_name}\n# HELP {name}{suffix} {help}\n"));
    }

    /// A sample of that family.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        let suffix = if self.family.1 == Kind::Counter { "_total" } else { "" };
        self.sample_of(suffix, labels, value);
    }

    /// A sample of that family with this end of its name.
    pub(super) fn sample_of(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        self.piece.push_str(self.family.0);
        self.piece.push_str(suffix);
        for (at, (name, text)) in labels.iter().enumerate() {
            self.piece.push(if at == 0 { '{' } else { ',' });
            self.piece.push_str(name);
            self.piece.push_str("=\"");
            escape(&mut self.piece, text);
            self.piece.push('"');
        }
        self.piece.push_str(if labels.is_empty() { " " } else { "} " });
        self.write(format_args!("{value}\n"));
        if self.piece.len() >= PIECE {
            (self.sink)(std::mem::take(&mut self.piece));
        }
    }

    /// That was all.
    pub(super) fn finish(mut self) {
        if self.dialect == Dialect::OpenMetrics {
            self.piece.push_str("# EOF\n");
        }
        (self.sink)(self.piece);
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        // A string takes everything.
        let _always = self.piece.write_fmt(text);
    }
}

fn escape(into: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            letter => into.push(letter),
        }
    }
}

/// Bytes that are no UTF-8 show as `\xff`: two names that differ still do.
pub(super) fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _always = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dialect: Dialect, fill: impl FnOnce(&mut Text<&mut dyn FnMut(String)>)) -> String {
        let mut all = String::new();
        let mut sink = |piece: String| all.push_str(&piece);
        let mut text = Text::new(dialect, &mut sink as &mut dyn FnMut(String));
        fill(&mut text);
        text.finish();
        all
    }

    #[test]
    fn a_counter_has_its_suffix_where_the_dialect_wants_it() {
        let fill = |text: &mut Text<&mut dyn FnMut(String)>| {
            text.family("a_deaths", Kind::Counter, "Deaths.");
            text.sample(&[("cause", "x"), ("y", "z")], 3_u64);
            text.family("a_up", Kind::Gauge, "Up.");
            text.sample(&[], 0.5);
        };
        assert_eq!(
            text(Dialect::OpenMetrics, fill),
            "# TYPE a_deaths counter\n# HELP a_deaths Deaths.\na_deaths_total{cause=\"x\",y=\"z\"} 3\n\
             # TYPE a_up gauge\n# HELP a_up Up.\na_up 0.5\n# EOF\n"
        );
        assert_eq!(
            text(Dialect::Prometheus, fill),
            "# TYPE a_deaths_total counter\n# HELP a_deaths_total Deaths.\na_deaths_total{cause=\"x\",y=\"z\"} 3\n\
             # TYPE a_up gauge\n# HELP a_up Up.\na_up 0.5\n"
        );
    }

    #[test]
    fn names_cannot_break_out_of_their_label() {
        let text = text(Dialect::Prometheus, |text| {
            text.family("a", Kind::Gauge, "A.");
            text.sample(&[("process", &shown(b"/a\"} 1\n\\b\xff"))], 1);
        });
        assert_eq!(text.lines().last(), Some("a{process=\"/a\\\"} 1\\n\\\\b\\\\xff\"} 1"));
    }

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Dialect::wanted(prometheus), Dialect::OpenMetrics);
        assert_eq!(Dialect::wanted("*/*"), Dialect::Prometheus);
        assert_eq!(Dialect::wanted(""), Dialect::Prometheus);
    }
}
