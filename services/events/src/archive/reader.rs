//! Owns reading parts of a data file: requests are few, counted, and footers are kept. Never decodes rows.

mod factory;

use std::{
    collections::{HashMap, VecDeque},
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{FutureExt as _, future::BoxFuture};
use object_store::{OBJECT_STORE_COALESCE_DEFAULT, ObjectStore, ObjectStoreExt as _, coalesce_ranges, path::Path};
use parquet::{
    arrow::{
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
        async_reader::AsyncFileReader,
    },
    errors::{ParquetError, Result},
    file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader},
};

pub(crate) use self::factory::Opener;
use super::{
    Error,
    columns::arrow_schema,
    store::{Reader, Store},
};

/// Read at the end of a file at once: footer and page index of most.
const FOOTER_BYTES: usize = 256 << 10;
/// Footers are kept up to so many bytes.
const FOOTERS_BYTES: usize = 64 << 20;

/// What reading the archive has cost.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Cost {
    /// Data files that were opened.
    pub(crate) files: u64,
    /// Requests to the store.
    pub(crate) requests: u64,
    /// Bytes that these answered.
    pub(crate) bytes: u64,
    /// Events that were decoded.
    pub(crate) rows: u64,
}

impl Cost {
    /// Adds another's.
    pub(crate) fn add(&mut self, other: Self) {
        let Self { files, requests, bytes, rows } = other;
        self.files += files;
        self.requests += requests;
        self.bytes += bytes;
        self.rows += rows;
    }
}

/// A cost that a file's reader counts up, wherever that has gone.
#[derive(Clone, Default, Debug)]
pub(crate) struct CostHandle(Arc<Mutex<Cost>>);

impl CostHandle {
    /// Until now.
    pub(crate) fn get(&self) -> Cost {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, bytes: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).add(Cost { requests: 1, bytes, ..Cost::default() });
    }
}

/// Reads parts of one data file.
pub(crate) struct FileReader {
    objects: Arc<dyn ObjectStore>,
    key: Path,
    bytes: u64,
    cost: CostHandle,
}

impl FileReader {
    /// Of a file of that many bytes, for that reader. Makes no request.
    pub(crate) fn open(store: &Store, location: &str, bytes: u64, reader: Reader) -> std::result::Result<Self, Error> {
        let (objects, key) = store.object(location, reader)?;
        Ok(Self { objects, key, bytes, cost: CostHandle::default() })
    }

    /// What it has cost until now.
    pub(crate) fn cost(&self) -> Cost {
        self.cost.get()
    }

    /// Its cost, also once it has been given away.
    pub(crate) fn cost_handle(&self) -> CostHandle {
        self.cost.clone()
    }
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.cost.count(range.end - range.start);
        async move { self.objects.get_range(&self.key, range).await.map_err(from_store) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            let fetch = |range: Range<u64>| {
                self.cost.count(range.end - range.start);
                self.objects.get_range(&self.key, range)
            };
            coalesce_ranges(&ranges, fetch, OBJECT_STORE_COALESCE_DEFAULT).await.map_err(from_store)
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let bytes = self.bytes;
            let reader = ParquetMetaDataReader::new()
                .with_prefetch_hint(Some(FOOTER_BYTES))
                .with_page_index_policy(PageIndexPolicy::Optional);
            Ok(Arc::new(reader.load_and_finish(self, bytes).await?))
        }
        .boxed()
    }
}

/// The footers that were read last.
#[derive(Default, Debug)]
pub(crate) struct Footers(Mutex<Kept>);

#[derive(Default, Debug)]
struct Kept {
    by_key: HashMap<Path, ArrowReaderMetadata>,
    oldest_first: VecDeque<Path>,
    bytes: usize,
}

impl Footers {
    /// The footer of a file. A file never changes, so one that is kept is right.
    pub(crate) async fn of(&self, file: &mut FileReader) -> Result<ArrowReaderMetadata> {
        if let Some(kept) = self.kept().by_key.get(&file.key) {
            return Ok(kept.clone());
        }
        // Other engines name other types for the same columns.
        let options =
            ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional).with_schema(arrow_schema());
        let footer = ArrowReaderMetadata::try_new(file.get_metadata(None).await?, options)?;
        self.kept().keep(file.key.clone(), footer.clone());
        Ok(footer)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn keep(&mut self, key: Path, footer: ArrowReaderMetadata) {
        let bytes = footer.metadata().memory_size();
        if self.by_key.insert(key.clone(), footer).is_none() {
            self.oldest_first.push_back(key);
            self.bytes += bytes;
        }
        while self.bytes > FOOTERS_BYTES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            let gone = self.by_key.remove(&oldest);
            self.bytes -= gone.map_or(0, |gone| gone.metadata().memory_size());
        }
    }
}

fn from_store(error: object_store::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}
