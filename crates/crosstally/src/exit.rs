//! Exit codes, and how an error is told: what happened, why, and what to do next.

use std::process::ExitCode;

/// Why a command did not succeed, as far as scripts care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Usage = 2,
    NotFound = 3,
    Auth = 4,
    Partial = 5,
    CheckFailed = 6,
}

/// As of a program that the signal ends.
const BROKEN_PIPE: u8 = 141;

/// An error with its own exit code.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failed {
    code: Code,
    message: String,
}

/// An error with this exit code.
pub(crate) fn with(code: Code, message: impl Into<String>) -> anyhow::Error {
    Failed { code, message: message.into() }.into()
}

/// A mistake in the command line; help and version are no mistakes.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // If even stderr is gone there is nobody to tell.
    drop(error.print());
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}

/// Tells the error on stderr.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    let of_io = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind)
    };
    if error.chain().any(|cause| of_io(cause) == Some(std::io::ErrorKind::BrokenPipe)) {
        // Whoever reads has seen enough: `.. | head`.
        return ExitCode::from(BROKEN_PIPE);
    }
    let message = error.to_string();
    if !message.is_empty() {
        eprintln!("crosstally: {message}");
    }
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
    code_of(error).map_or(ExitCode::FAILURE, |code| ExitCode::from(code as u8))
}

/// What scripts care about in an error; `None` if it is nothing but a failure.
pub(crate) fn code_of(error: &anyhow::Error) -> Option<Code> {
    error.downcast_ref::<Failed>().map(|failed| failed.code)
}
