//! The reference of the command line, as Markdown, from its definition.

use std::fmt::Write;

use clap::{Arg, Command, CommandFactory};

const INTRO: &str = "<!-- Generated from the command line; `make golden` writes it. -->\n\
    # Command line\n\n\
    `serin COMMAND --help` prints the same. An option with a variable takes the variable's value where it is left out.\n\n\
    ## Exit codes\n\n\
    | code | meaning |\n|---|---|\n\
    | 0 | success |\n\
    | 1 | a failure while running, such as an address that is taken or an API server that cannot be reached |\n\
    | 2 | the command line or a file is invalid; standard error names the file, the line, the field, the problem and the fix |\n\n\
    `serin explain --requests` ends with 0 when at least one line was answered, and with 2 when all of them were answered with an `error`.\n";

/// The reference of all commands.
#[must_use]
pub fn reference() -> String {
    let mut command = super::Cli::command();
    command.build();
    let mut text = INTRO.to_owned();
    for command in command.get_subcommands().filter(|command| command.get_name() != "help") {
        text.push_str(&section(command));
    }
    text
}

fn section(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let usage = command.clone().render_usage().to_string();
    let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
    let mut text = format!("\n## serin {}\n\n{about}.\n\n```\n{usage}\n```\n", command.get_name());
    let mut options = command.get_arguments().filter(|option| option.get_id() != "help").peekable();
    if options.peek().is_some() {
        text.push_str("\n| option | default | variable | description |\n|---|---|---|---|\n");
    }
    for option in options {
        // Writing to a String does not fail.
        let _ =
            writeln!(text, "| {} | {} | {} | {} |", name(option), default(option), variable(option), description(option));
    }
    if let Some(more) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        more.to_string().split("\n\n").for_each(|part| text.push_str(&paragraph(part)));
    }
    text
}

/// A paragraph of the help; the lines of an example are code.
fn paragraph(text: &str) -> String {
    match text.split_once(":\n  ") {
        Some((name, lines)) => format!("\n{name}:\n\n```\n{}\n```\n", lines.replace("\n  ", "\n")),
        None => format!("\n{text}\n"),
    }
}

/// `-f`, `--file FILE`.
fn name(option: &Arg) -> String {
    let short = option.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let values = option.get_value_names().unwrap_or_default();
    let values: String =
        values.iter().filter(|_| option.get_action().takes_values()).map(|value| format!(" {value}")).collect();
    format!("{short}`--{}{values}`", option.get_long().unwrap_or_default())
}

fn default(option: &Arg) -> String {
    if option.is_required_set() {
        return "required".to_owned();
    }
    let values = option.get_default_values().iter().filter(|_| option.get_action().takes_values());
    values.map(|value| format!("`{}`", value.to_string_lossy())).collect::<Vec<_>>().join(", ")
}

fn variable(option: &Arg) -> String {
    option.get_env().map(|name| format!("`{}`", name.to_string_lossy())).unwrap_or_default()
}

fn description(option: &Arg) -> String {
    let help = option.get_help().map(ToString::to_string).unwrap_or_default();
    let values: Vec<_> = option.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let values = if values.is_empty() || !option.get_action().takes_values() {
        String::new()
    } else {
        format!(" One of {}.", values.join(", "))
    };
    format!("{}.{values}", help.trim_end_matches('.')).replace('|', "\\|")
}
