//! A file's vectors as a database keeps them: a mark with a version, dimensions and number, then ids, scales, coarse
//! and fine parts, each for all vectors; numbers with the low byte first.

use super::{Unusable, Vectors};

const MARK: [u8; 4] = *b"AJV1";
const HEADER: usize = 12;

impl Vectors {
    /// The vectors as bytes that any version of this crate reads again.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.bytes());
        bytes.extend(MARK);
        bytes.extend((self.dimensions as u32).to_le_bytes());
        bytes.extend((self.len() as u32).to_le_bytes());
        bytes.extend(self.chunks.iter().flat_map(|chunk| chunk.to_le_bytes()));
        bytes.extend(self.scales.iter().flat_map(|scale| scale.to_le_bytes()));
        bytes.extend(self.coarse.iter().map(|value| *value as u8));
        bytes.extend(&self.fine);
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Unusable::Damaged`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unusable> {
        let mut rest = bytes.strip_prefix(&MARK).ok_or(Unusable::Damaged)?;
        let dimensions = u32::from_le_bytes(array(&mut rest)?) as usize;
        let len = u32::from_le_bytes(array(&mut rest)?) as usize;
        let chunks = take_each(&mut rest, len, i64::from_le_bytes)?;
        let scales = take_each(&mut rest, len, f32::from_le_bytes)?;
        let coarse = take(&mut rest, len.checked_mul(dimensions).ok_or(Unusable::Damaged)?)?;
        let fine = take(&mut rest, len.checked_mul(dimensions.div_ceil(2)).ok_or(Unusable::Damaged)?)?;
        let sound = rest.is_empty() && chunks.is_sorted() && scales.iter().all(|scale| scale.is_finite());
        if !sound {
            return Err(Unusable::Damaged);
        }
        Ok(Self {
            dimensions,
            chunks,
            scales,
            coarse: coarse.iter().map(|value| *value as i8).collect(),
            fine: fine.into(),
        })
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Result<&'a [u8], Unusable> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(Unusable::Damaged)?;
    *bytes = rest;
    Ok(taken)
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Unusable> {
    take(bytes, N)?.try_into().map_err(|_| Unusable::Damaged)
}

fn take_each<const N: usize, T>(
    bytes: &mut &[u8],
    len: usize,
    read: fn([u8; N]) -> T,
) -> Result<Box<[T]>, Unusable> {
    let taken = take(bytes, len.checked_mul(N).ok_or(Unusable::Damaged)?)?;
    Ok(taken.as_chunks::<N>().0.iter().map(|value| read(*value)).collect())
}
