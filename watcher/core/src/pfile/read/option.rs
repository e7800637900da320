//! Options of an entry: NAME=VALUE.

use super::{
    Check, Field, Placed, Problem, Reader, Severity, UnknownOptions,
    field::{is_blank, nearest},
};
use crate::pfile::{Bytes, EntryOption, Seconds, Strings};

impl<'a> Reader<'a> {
    /// An option, or nothing where there is none between two separators.
    pub(super) fn option(&mut self, field: Field<'a>) -> Result<Option<Placed<EntryOption>>, Problem> {
        if field.trim().bytes.is_empty() {
            self.tell(
                Problem::new(Check::EmptyField, field.place(), "there is no option after this `:`")
                    .hint("take the `:` away"),
            );
            return Ok(None);
        }
        let (name, value) =
            field.split_once(b'=').unwrap_or_else(|| (field.trim(), field.split_at(field.bytes.len()).1));
        let option = match name.bytes {
            b"include_strings" => EntryOption::IncludeStrings(self.strings(value)),
            b"exclude_strings" => EntryOption::ExcludeStrings(self.strings(value)),
            b"min_proc_count" => EntryOption::MinProcCount(value.trim().number("the lower bound")?),
            b"max_proc_count" => EntryOption::MaxProcCount(value.trim().number("the upper bound")?),
            b"grp_tag" => EntryOption::GroupTag { tag: tag(value.trim())?, long: false },
            b"group_tag" => EntryOption::GroupTag { tag: tag(value.trim())?, long: true },
            b"clear_cmd" => EntryOption::ClearCmd(value.trim().absolute_path("the clean-up command")?),
            b"restart_waittime" => EntryOption::RestartWaitTime(Seconds(value.trim().number("the waiting time")?)),
            _ => self.unknown_option(field, name)?,
        };
        Ok(Some(Placed::new(option, field.place())))
    }

    fn strings(&mut self, value: Field<'a>) -> Strings {
        // An empty search string is contained in every command line: it looks like a condition and is none.
        if let Some(word) = value.split(b'&').find(|word| word.bytes.is_empty()) {
            let problem =
                Problem::new(Check::EmptySearchWord, word.place(), "an empty search string fits every process")
                    .hint("write the word that is missing, or take the `&` away");
            self.tell(problem);
        }
        Strings::new(value.bytes)
    }

    fn unknown_option(&mut self, field: Field<'a>, name: Field<'a>) -> Result<EntryOption, Problem> {
        let problem = Problem::new(Check::UnknownOption, name.place(), format!("{} is not an option", name.quoted()));
        let problem = match nearest(name.trim().bytes, EntryOption::NAMES) {
            None if !field.bytes.contains(&b'=') => {
                problem.hint("a `:` ends the value before it: search strings cannot contain one")
            }
            near => problem.suggest(near, format!("options are {}", EntryOption::NAMES.join(", "))),
        };
        match self.unknown_options {
            UnknownOptions::Refuse => Err(problem),
            UnknownOptions::Keep => {
                self.tell(Problem { severity: Severity::Warning, ..problem });
                Ok(EntryOption::Unknown(Bytes::from(field.bytes)))
            }
        }
    }
}

fn tag(value: Field<'_>) -> Result<Bytes, Problem> {
    if value.bytes.is_empty() || value.bytes.iter().any(is_blank) {
        return Err(Problem::new(Check::InvalidValue, value.place(), format!("{} is not a tag", value.quoted()))
            .hint("a tag is one word"));
    }
    Ok(value.bytes.into())
}
