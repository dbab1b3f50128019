//! A stable code for each kind of mistake, with a page that explains it. A code is never given to another mistake, and a message may
//! change without its code.

use std::fmt;
use std::str::FromStr;

use crate::Error;
use crate::problem::nearest;

macro_rules! codes {
    ($($variant:ident = $code:literal, $title:literal;)*) => {
        /// The kind of a mistake, as `osiris explain` knows it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!($code, ": ", $title, ".")] $variant,)*
        }

        impl Code {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code itself, such as `E0101`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            /// What went wrong, in a few words.
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$variant => $title,)*
                }
            }

            /// The page without its title, as Markdown: what it means, then sections.
            pub const fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => include_str!(concat!("pages/", $code, ".md")),)*
                }
            }
        }
    };
}

// By hundreds: connections, files of a project, SQL, data, runs, the machine; what is in none of them comes last.
codes! {
    ConnectionRefused = "E0101", "the server refused the connection";
    UnknownHost = "E0102", "the host is unknown";
    NetworkFailed = "E0103", "the network or the server failed";
    TlsFailed = "E0104", "the TLS connection failed";
    NoResponse = "E0105", "no response within the time limit";
    AuthenticationFailed = "E0106", "the credentials were rejected";
    PermissionDenied = "E0107", "a permission is missing";
    RateLimited = "E0108", "a rate limit is exceeded";
    UnexpectedResponse = "E0109", "the server rejected the request or is another one";
    UnknownConnection = "E0110", "the connection is not defined";
    VariableNotSet = "E0111", "a variable has no value";

    InvalidYaml = "E0201", "the file is not valid YAML";
    UnknownField = "E0202", "a field is unknown";
    MissingField = "E0203", "a field is missing";
    InvalidValue = "E0204", "a value does not fit its field";
    UnknownComponent = "E0205", "the component is unknown";
    UnknownStep = "E0206", "a step or an input does not exist";
    DuplicateName = "E0207", "a name occurs twice";
    StepCycle = "E0208", "steps wait for each other";
    TwoWriters = "E0209", "two steps write the same destination";
    InvalidParameter = "E0210", "a parameter is unknown or has no valid value";
    LiteralSecret = "E0211", "a secret is written in a pipeline file";

    SqlSyntax = "E0301", "a syntax error in SQL";
    SqlNotAllowed = "E0302", "the SQL does more than it may";
    SqlFailed = "E0303", "the SQL cannot be executed";

    TableNotFound = "E0401", "the table does not exist";
    ColumnNotFound = "E0402", "the column does not exist";
    ValueDoesNotFit = "E0403", "a value does not fit its type";
    BadLine = "E0404", "a line of a file cannot be read";
    InvalidEncoding = "E0405", "the encoding of a file is another one";
    ConstraintViolated = "E0406", "rows violate a constraint of the table";
    TooManyRejects = "E0407", "more rows were rejected than allowed";
    AssertionFailed = "E0408", "an assertion failed";
    SourceChanged = "E0409", "the source changed while it was read";
    FileNotFound = "E0410", "the file does not exist";
    InvalidFile = "E0411", "the file is damaged or of another format";
    ColumnsDiffer = "E0412", "the columns are different ones";

    AlreadyRunning = "E0501", "another process has the lock";
    OutcomeUnknown = "E0502", "it is unknown whether rows were written";
    NotResumable = "E0503", "the run cannot be resumed";
    LedgerUnbalanced = "E0504", "rows are missing";
    StateOfOtherSource = "E0505", "the saved state belongs to another source";
    StepTimedOut = "E0506", "the step exceeded its time limit";
    Interrupted = "E0507", "the work was interrupted";
    WrittenBefore = "E0508", "a failed run has written these rows already";

    DiskFull = "E0601", "the disk is full";
    OutOfMemory = "E0602", "the memory limit is exceeded";

    InvalidInput = "E0901", "the input is invalid";
    Unexpected = "E0902", "an unexpected error";
}

impl Code {
    /// Whether it says no more than the kind of the error: the message is all there is to read.
    pub const fn is_general(self) -> bool {
        matches!(self, Self::InvalidInput | Self::Unexpected)
    }

    /// The whole page, as Markdown.
    pub fn page(self) -> String {
        format!("# {self}: {}\n\n{}", self.title(), self.text())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = Error;

    /// Lower case is accepted, and so is the number alone.
    fn from_str(text: &str) -> Result<Self, Error> {
        let code = text.trim().to_ascii_uppercase();
        let code = if code.starts_with(|c: char| c.is_ascii_digit()) { format!("E{code:0>4}") } else { code };
        let found = Self::ALL.iter().copied().find(|known| known.as_str() == code);
        found.ok_or_else(|| {
            let error = Error::validation(format!("unknown error code `{text}`"));
            match nearest(&code, Self::ALL.iter().map(|known| known.as_str())) {
                Some(similar) => error.with_hint(format!("did you mean `{similar}`? `osiris explain` lists all codes")),
                None => error.with_hint("`osiris explain` lists all codes"),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a text that have the form of a code.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.filter(|word| word.len() == 5 && word.starts_with('E') && word[1..].bytes().all(|c| c.is_ascii_digit()))
    }

    #[test]
    fn every_code_has_a_page_with_its_sections() {
        for code in Code::ALL {
            let headings: Vec<&str> = code.text().lines().filter(|line| line.starts_with('#')).collect();
            assert_eq!(headings, ["## Causes", "## What to do", "## Example"], "{code}");
            assert!(!code.text().starts_with('#'), "{code}: the meaning comes first");
            assert!(code.text().contains("\n```"), "{code}: an example is code");
            assert!(code.text().ends_with('\n') && !code.text().ends_with("\n\n"), "{code}: one line break at the end");
            assert!(code.page().starts_with(&format!("# {}: {}\n\n", code.as_str(), code.title())), "{code}");
        }
    }

    #[test]
    fn codes_differ_and_are_in_order() {
        let texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted_by(|one, two| one < two), "{texts:?}");
        let titles: std::collections::BTreeSet<&str> = Code::ALL.iter().map(|code| code.title()).collect();
        assert_eq!(titles.len(), texts.len(), "two codes have the same title");
    }

    #[test]
    fn pages_name_only_codes_that_there_are() {
        for code in Code::ALL {
            for word in named(code.text()) {
                assert!(word.parse::<Code>().is_ok(), "the page of {code} names {word}");
                assert_ne!(word, code.as_str(), "the page of {code} sends its reader to itself");
            }
        }
    }

    #[test]
    fn a_code_is_read_in_lower_case_and_without_its_letter() {
        for text in ["E0101", "e0101", "0101", "101", " E0101 "] {
            assert_eq!(text.parse::<Code>().unwrap(), Code::ConnectionRefused, "{text}");
        }
        let unknown = "E0199".parse::<Code>().unwrap_err();
        assert!(unknown.hint().unwrap().starts_with("did you mean `E01"), "{unknown:?}");
        assert_eq!("nonsense".parse::<Code>().unwrap_err().hint(), Some("`osiris explain` lists all codes"));
    }
}
