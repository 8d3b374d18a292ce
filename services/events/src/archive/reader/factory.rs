//! Owns how plans open data files: with the footers that are kept, counting what they read. Never decodes rows.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use datafusion::{
    datasource::{listing::PartitionedFile, physical_plan::ParquetFileReaderFactory},
    error::Result,
    physical_plan::metrics::ExecutionPlanMetricsSet,
};
use futures::{FutureExt as _, future::BoxFuture};
use object_store::{ObjectStore, path::Path};
use parquet::{
    arrow::{arrow_reader::ArrowReaderOptions, async_reader::AsyncFileReader},
    errors::Result as ParquetResult,
    file::metadata::ParquetMetaData,
};

use super::{Cost, CostHandle, FileReader, Footers};

/// Opens the data files of one query.
#[derive(Debug)]
pub(crate) struct Opener {
    objects: Arc<dyn ObjectStore>,
    footers: Arc<Footers>,
    cost: CostHandle,
    opened: Mutex<BTreeSet<Path>>,
}

impl Opener {
    /// Opens files of this store.
    pub(crate) fn new(objects: Arc<dyn ObjectStore>, footers: Arc<Footers>) -> Self {
        Self { objects, footers, cost: CostHandle::default(), opened: Mutex::default() }
    }

    /// What reading has cost until now, but for rows. A file counts once, however many parts of it are read apart.
    pub(crate) fn cost(&self) -> Cost {
        let files = self.opened.lock().unwrap_or_else(PoisonError::into_inner).len() as u64;
        Cost { files, ..self.cost.get() }
    }
}

impl ParquetFileReaderFactory for Opener {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let key = file.object_meta.location;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        let objects = Arc::clone(&self.objects);
        let file = FileReader { objects, key, bytes: file.object_meta.size, cost: self.cost.clone() };
        Ok(Box::new(Opened { file, footers: Arc::clone(&self.footers) }))
    }
}

/// A file whose footer is read once by this process.
struct Opened {
    file: FileReader,
    footers: Arc<Footers>,
}

impl AsyncFileReader for Opened {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.file.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.file.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        async move { Ok(Arc::clone(self.footers.of(&mut self.file).await?.metadata())) }.boxed()
    }
}
