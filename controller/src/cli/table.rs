//! Columns of text.

/// Rows with their cells in columns; the last column is as it is.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

/// Rows without the columns from the right that begin too late for their heading. The first one stays.
pub(super) fn narrow(rows: Vec<Vec<String>>, columns: usize) -> Vec<Vec<String>> {
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let heading = rows.first().map(Vec::as_slice).unwrap_or_default();
    let (mut begin, mut kept) = (0, 0);
    for (column, cell) in heading.iter().enumerate() {
        if column > 0 && begin + cell.chars().count() > columns {
            break;
        }
        begin += width(column).unwrap_or_default() + 2;
        kept = column + 1;
    }
    rows.into_iter().map(|row| row.into_iter().take(kept).collect()).collect()
}

/// As many lines as there is room for; the last one says how many more there are.
pub(super) fn head_of(text: &str, lines: usize) -> String {
    let all = text.lines().count();
    if all <= lines {
        return text.to_owned();
    }
    let shown = lines.saturating_sub(1);
    let more = (lines > 0).then(|| format!("and {} more", all - shown));
    text.lines().take(shown).map(str::to_owned).chain(more).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_is_counted() {
        let text = "NAME\na\nb\nc\n";
        assert_eq!([4, 3, 1, 0].map(|lines| head_of(text, lines)), [text, "NAME\na\nand 2 more\n", "and 4 more\n", ""]);
    }

    #[test]
    fn columns_go_from_the_right_where_there_is_no_room() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let rows = vec![row(&["NAME", "PHASE", "NEXT"]), row(&["reviews", "Active", "50% not before 18:04"])];
        let shown = |columns: usize| table(&narrow(rows.clone(), columns)).lines().next().unwrap_or_default().to_owned();
        assert_eq!(
            [80, 21, 20, 14, 13, 1].map(shown),
            ["NAME     PHASE   NEXT", "NAME     PHASE   NEXT", "NAME     PHASE", "NAME     PHASE", "NAME", "NAME"]
        );
    }

    #[test]
    fn columns_stand_under_each_other() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let text = table(&[row(&["NAME", "PHASE", "NEXT"]), row(&["reviews", "Active", ""]), row(&["a", "→", "b"])]);
        assert_eq!(text, "NAME     PHASE   NEXT\nreviews  Active\na        →       b\n");
    }
}
