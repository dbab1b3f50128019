//! `osiris` with one more component: `ini.extractor`.

mod ini;

use std::process::ExitCode;

fn main() -> ExitCode {
    let registered = osiris::registry().and_then(|mut registry| {
        registry.extractor(ini::IniExtractor).add()?;
        Ok(registry)
    });
    match registered {
        Ok(registry) => osiris_cli::main_with(registry),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
