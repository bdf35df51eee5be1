//! JSON lines in, one answer each, in order and in constant memory.

use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};

use super::answer::Answer;
use super::line;
use super::subject::Subject;
use crate::cli::Failure;

/// What some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The form of the answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// For tools.
    pub(super) json: bool,
    /// With the steps of each decision.
    pub(super) steps: bool,
}

/// Answers each line of `lines`. Lines that cannot be read are answered too; only where no other is there it is a failure.
pub(super) fn answer(subject: &Subject, lines: impl Read, out: impl Write, form: Form) -> Result<(), Failure> {
    let mut lines = BufReader::with_capacity(1 << 16, lines);
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let (mut line, mut number, mut good, mut bad) = (Vec::new(), 0_u64, 0_u64, 0_u64);
    loop {
        line.clear();
        let read =
            lines.read_until(b'\n', &mut line).map_err(|error| Failure::running("cannot read the requests", error))?;
        number += 1;
        let text = if number == 1 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        let text = text.trim_ascii();
        if read == 0 {
            written(out.flush())?;
            return match (good, bad) {
                (0, 1..) => Err(Failure::Invalid("no line of the requests could be read; its answer says why".to_owned())),
                _ => Ok(()),
            };
        }
        if !text.is_empty() {
            let answered = answer_line(subject, text, number, form);
            *(if answered.is_ok() { &mut good } else { &mut bad }) += 1;
            let answer = answered.unwrap_or_else(|answer| answer);
            if let Err(error) = out.write_all(answer.as_bytes()) {
                return written(Err(error));
            }
        }
        // Whoever writes one line and waits for its answer gets it.
        if lines.buffer().is_empty()
            && let Err(error) = out.flush()
        {
            return written(Err(error));
        }
    }
}

fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::running("cannot write the answers", error)),
        _ => Ok(()),
    }
}

/// The answer to a line, or what is wrong with it in the form of an answer.
fn answer_line(subject: &Subject, text: &[u8], number: u64, form: Form) -> Result<String, String> {
    let answered = line::read(text, number).and_then(|(id, asked)| {
        let answer = if form.steps {
            subject.explain(asked)
        } else {
            subject.decide(asked).map(|decision| Answer { decision, notes: Vec::new(), steps: Vec::new(), after: None })
        };
        let answer = answer.map_err(|unclear| unclear.in_a_batch())?;
        Ok(if form.json { format!("{}\n", answer.json(id, form.steps)) } else { answer.short(id, form.steps) })
    });
    answered.map_err(|error| {
        let (id, error) = (line::id(text), format!("line {number}: {error}"));
        if form.json {
            format!("{{\"id\":{id},\"error\":{}}}\n", serde_json::Value::from(error))
        } else {
            format!("{id}\t-\t-\terror: {error}\n")
        }
    })
}
