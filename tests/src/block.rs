//! Stall checks as pfiles have them, with the shortest times that a rule may have.

use std::fmt;

/// A `_bi_` block.
#[derive(Clone, Debug)]
pub struct Block {
    kind: &'static str,
    /// After a stall nothing is asked any more.
    once: bool,
    /// What cannot be ended leads to the retry-over action.
    gives_up: bool,
    interval: u32,
    retry_over: u32,
    /// From the port on.
    target: Vec<String>,
}

impl Block {
    /// Seconds from one check to the next, and until it is a stall: the shortest that are allowed.
    pub const SHORTEST: u32 = 10;

    fn new(kind: &'static str, port: u16) -> Self {
        let (interval, retry_over) = (Self::SHORTEST, Self::SHORTEST);
        Self { kind, once: false, gives_up: true, interval, retry_over, target: vec![port.to_string()] }
    }

    pub fn web(port: u16) -> Self {
        Self::new("webserv", port)
    }

    pub fn socket(port: u16) -> Self {
        Self::new("socket", port)
    }

    pub fn tls(port: u16) -> Self {
        Self::new("webservs", port)
    }

    /// With a host, and whatever may come after it.
    pub fn to(mut self, more: &[&str]) -> Self {
        self.target.extend(more.iter().map(ToString::to_string));
        self
    }

    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// A check every so many seconds, and the retry-over time of the original: in a test no stall comes of it by itself.
    pub fn seldom(self, interval: u32) -> Self {
        Self { interval, retry_over: 600, ..self }
    }

    pub fn never_gives_up(self) -> Self {
        Self { gives_up: false, ..self }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, once, gives_up, interval, retry_over, target } = self;
        let (once, gives_up) = (u8::from(*once), u8::from(*gives_up));
        let (part, count) = (format!("DLL:/opt/HA/PSWE/lib/lib_bi_{kind}.so:DIRECT:-"), target.len() + 1);
        writeln!(f, "_bi_{kind} {{")?;
        writeln!(f, "  PS_INIT    {part}:-:-:0")?;
        writeln!(f, "  PS_EXEC    {part}:{interval}:{once}:{count}:{retry_over}:{}", target.join(":"))?;
        writeln!(f, "  PS_ACTION  {part}:-:{gives_up}:0")?;
        writeln!(f, "  PS_QUIT    {part}:-:-:0")?;
        writeln!(f, "}}")
    }
}
