//! Entry lines: PROCESS:SCRIPT:GRACE:RETRIES:ACTION and options.

use std::collections::BTreeMap;

use super::{Check, Entry, Field, Owner, Placed, Problem, Reader, field::nearest, quoted};
use crate::pfile::{EntryOption, RetryOver, Seconds, WrittenRetryOver};

/// What the five fields are called.
const FIELDS: [&str; 5] = ["the process", "the restart script", "the grace value", "the retry count", "the action"];

impl<'a> Reader<'a> {
    pub(super) fn entry_line(&mut self, line: Field<'a>) {
        self.count += 1;
        self.owner = Owner::SpoiltEntry;
        self.seen_extensions.clear();
        let mut fields = line.split(b':');
        let mut next = || fields.next().map(Field::trim);
        let given = [next(), next(), next(), next(), next()];
        let missing: Vec<_> =
            FIELDS.iter().zip(&given).filter(|(_, field)| field.is_none()).map(|(name, _)| *name).collect();
        if !missing.is_empty() {
            let message = format!("the entry ends before {}", missing.join(", "));
            let problem = Problem::new(Check::MissingField, line.place().after(), message)
                .hint("an entry is PROCESS:SCRIPT:GRACE:RETRIES:ACTION, and then options");
            self.tell(problem);
        }
        // What is there is read in any case, so that all mistakes of a line are told at once.
        let [process, script, grace, retries, action] = given;
        let process = self.field(process, |field| field.absolute_path("the process"));
        let script = self.field(script, |field| field.absolute_path("the restart script"));
        let grace = self.field(grace, |field| field.number("the grace value").map(Seconds));
        let retries = self.field(retries, |field| field.number("the retry count"));
        let retry_over = self.field(action, retry_over);
        let options = self.options(fields);
        if let (Some(process), Some(mut script), Some(grace), Some(retries), Some(mut retry_over), Some(options)) =
            (process, script, grace, retries, retry_over, options)
        {
            // Neighbours often say the same, and share it then.
            if let Some(Placed { value: before, .. }) = self.entries.last() {
                if before.script == script {
                    script.value.clone_from(&before.script.value);
                }
                if before.retry_over == retry_over {
                    retry_over.value.clone_from(&before.retry_over.value);
                }
            }
            let (stall_checks, extensions) = (Vec::new(), Vec::new());
            let entry = Entry { process, script, grace, retries, retry_over, options, stall_checks, extensions };
            self.entries.push(Placed::new(entry, line.place()));
            self.owner = Owner::Entry;
        }
    }

    fn field<T>(
        &mut self,
        field: Option<Field<'a>>,
        read: impl FnOnce(Field<'a>) -> Result<T, Problem>,
    ) -> Option<Placed<T>> {
        let field = field?;
        let value = self.take(read(field))?;
        Some(Placed::new(value, field.place()))
    }

    fn options(&mut self, fields: impl Iterator<Item = Field<'a>>) -> Option<Vec<Placed<EntryOption>>> {
        let mut options: Vec<Placed<EntryOption>> = Vec::new();
        let mut seen = BTreeMap::new();
        let mut failed = false;
        for field in fields {
            let read = self.option(field.trim_start());
            let Some(option) = self.take(read) else {
                failed = true;
                continue;
            };
            let Some(option) = option else { continue };
            match option.value.meaning().and_then(|meaning| seen.insert(meaning, option.place)) {
                Some(first) => {
                    let name = option.value.name().unwrap_or_default();
                    let problem =
                        Problem::new(Check::DuplicateOption, option.place, format!("`{name}` is given a second time"))
                            .hint("keep one of the two; `&` joins several search strings")
                            .related(first, "it was given here first");
                    self.tell(problem);
                    failed = true;
                }
                None => options.push(option),
            }
        }
        self.check_counts(&options)?;
        (!failed).then_some(options)
    }

    fn check_counts(&mut self, options: &[Placed<EntryOption>]) -> Option<()> {
        let mut least = None;
        let mut most = None;
        for option in options {
            match option.value {
                EntryOption::MinProcCount(count) => least = Some(count),
                EntryOption::MaxProcCount(count) => most = Some((count, option.place)),
                EntryOption::ClearCmd(_)
                | EntryOption::ExcludeStrings(_)
                | EntryOption::GroupTag { .. }
                | EntryOption::IncludeStrings(_)
                | EntryOption::RestartWaitTime(_)
                | EntryOption::Unknown(_) => {}
            }
        }
        match (least, most) {
            (Some(least), Some((most, place))) if least > most => {
                let message = format!("at least {least} processes are wanted, but at most {most}");
                self.tell(Problem::new(Check::CountRange, place, message).hint("exchange the two numbers"));
                None
            }
            _ => Some(()),
        }
    }
}

fn retry_over(field: Field<'_>) -> Result<WrittenRetryOver, Problem> {
    WrittenRetryOver::read(field.bytes).ok_or_else(|| {
        let message = match field.bytes {
            [] => "the action is empty".to_owned(),
            written => format!("{} is not a retry-over action", quoted(written)),
        };
        let names = RetryOver::ALL.map(RetryOver::name);
        field
            .problem(Check::UnknownAction, message)
            .suggest(nearest(field.bytes, names), format!("actions are {}", names.join(", ")))
    })
}
