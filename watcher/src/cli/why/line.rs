//! Lines of events and of the dump file, as far as they tell of deaths. Whatever is not known, or is of another type than it
//! should be, is passed over: the line may come from another version.

use serde_json::Value;

/// One line.
#[derive(Clone, Debug)]
pub(super) struct Line(Value);

impl Line {
    /// Reads a line; `None` when it is no JSON object.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(Value::is_object).map(Self)
    }

    /// What happened, for an event.
    pub(super) fn event(&self) -> Option<&str> {
        self.text("event")
    }

    /// What it is, for another line of a dump.
    pub(super) fn dump(&self) -> Option<&str> {
        self.text("dump")
    }

    /// The entry that it tells of.
    pub(super) fn entry(&self) -> Option<u64> {
        self.count("entry")
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    pub(super) fn count(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64().filter(|number| number.is_finite())
    }
}
