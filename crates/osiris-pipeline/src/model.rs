//! A pipeline as its file says it: checked for form, not yet for what its components want.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use osiris_core::{ResumeFrom, RetryPolicy, Role};

use crate::group::GroupMember;
use crate::params::{ParamSpec, Profile};
use crate::source::{SourceFile, Span};
use crate::yaml::Node;

/// The only version of the format.
pub const OML_VERSION: &str = "0.1.0";

/// A word and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The word.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A pipeline file.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The file.
    pub source: Arc<SourceFile>,
    /// Its name.
    pub name: String,
    /// What it is for, in the words of its author.
    pub description: Option<String>,
    /// Its parameters, in the order of the file.
    pub params: Vec<ParamSpec>,
    /// Its profiles.
    pub profiles: BTreeMap<String, Profile>,
    /// Its steps, in the order of the file.
    pub steps: Vec<Step>,
    /// The whole document.
    pub document: Node,
}

/// A step of a pipeline.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its id, unique in the pipeline.
    pub id: Spanned<String>,
    /// What it is for, in the words of its author: `name`, else `description`.
    pub title: Option<String>,
    /// The component it runs.
    pub component: Spanned<String>,
    /// What it says it does, when it says so.
    pub mode: Option<Spanned<Role>>,
    /// Its configuration, a mapping, as written.
    pub config: Node,
    /// Where to point for the whole of the configuration: at the word `config`, or at the id when there is none.
    pub config_span: Span,
    /// The steps it waits for.
    pub needs: Vec<Spanned<String>>,
    /// Whether it says `needs: []`: then it takes no table, also where a step comes before it.
    pub needs_nothing: bool,
    /// The tables it reads, by the key that its SQL may use.
    pub inputs: Vec<StepInput>,
    /// When to try it again.
    pub retry: RetryPolicy,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// What a resumed run takes its rows from, where it says so.
    pub resume: Option<Spanned<ResumeFrom>>,
    /// Its place in a group of steps that were made of one step of the file.
    pub group: Option<GroupMember>,
    /// Where it stands.
    pub span: Span,
}

impl Step {
    /// Its id in the file, which is that of its group where it is of one: for what is to be said once of all of them.
    pub(crate) fn written_id(&self) -> &str {
        self.group.as_ref().map_or(&self.id.value, |member| &member.group)
    }
}

/// One entry under `inputs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepInput {
    /// The key.
    pub key: String,
    /// The step whose table it is.
    pub step: Spanned<String>,
}
