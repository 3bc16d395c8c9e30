/// A device made of zeros and of the pieces that the input is cut into: four bytes for the offset, one for the length, the bytes.
fn device(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 0x1_1000];
    while let [a, b, c, d, length, rest @ ..] = input {
        let place = u32::from_le_bytes([*a, *b, *c, *d]) as usize % bytes.len();
        let length = usize::from(*length).min(rest.len()).min(bytes.len() - place);
        bytes[place..place + length].copy_from_slice(&rest[..length]);
        input = &rest[length..];
    }
    bytes
}
