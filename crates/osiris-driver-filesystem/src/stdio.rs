//! Injectable standard input and output: this library uses those of the process only
//! through the default defined here.

use std::io::{Read, Write};
use std::sync::Arc;

type OpenInput = dyn Fn() -> Box<dyn Read + Send> + Send + Sync;
type OpenOutput = dyn Fn() -> Box<dyn Write + Send> + Send + Sync;

/// What the path `-` reads from and writes to.
#[derive(Clone)]
pub struct Streams {
    input: Arc<OpenInput>,
    output: Arc<OpenOutput>,
}

impl Streams {
    /// Other streams: each call of a function opens the stream for one step.
    pub fn new(
        input: impl Fn() -> Box<dyn Read + Send> + Send + Sync + 'static,
        output: impl Fn() -> Box<dyn Write + Send> + Send + Sync + 'static,
    ) -> Self {
        Self { input: Arc::new(input), output: Arc::new(output) }
    }

    pub(crate) fn input(&self) -> Box<dyn Read + Send> {
        (self.input)()
    }

    pub(crate) fn output(&self) -> Box<dyn Write + Send> {
        (self.output)()
    }
}

impl Default for Streams {
    /// The process's standard input and output.
    fn default() -> Self {
        Self::new(|| Box::new(std::io::stdin()), || Box::new(std::io::stdout()))
    }
}
