//! Changes to a text that was good.

/// Each change takes this many bytes of a script: what is done, where (two bytes, big-endian, counted around the
/// text), and with which byte.
const EDIT_BYTES: usize = 4;

/// `text` after the changes that `script` spells: `+` inserts a byte, `-` leaves one out, and anything else
/// replaces one.
pub(crate) fn edited(text: &str, script: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for edit in script.chunks_exact(EDIT_BYTES) {
        let [action, high, low, byte] = [edit[0], edit[1], edit[2], edit[3]];
        let at = usize::from(u16::from_be_bytes([high, low])) % (bytes.len() + 1);
        match action {
            b'+' => bytes.insert(at, byte),
            _ if at == bytes.len() => {}
            b'-' => drop(bytes.remove(at)),
            _ => bytes[at] = byte,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
