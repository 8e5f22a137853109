//! A checksum at the end of every page.
//!
//! Owns a layer between SQLite and the system's files: it adds the checksum when a page is written to the database's own
//! file and checks it when the page is read. Promises that a page whose bytes changed since is an error
//! (`SQLITE_IOERR_DATA`), and that pages without a checksum are never read as data. The log has checksums of SQLite's
//! own and is left alone. Start reading at [`read`].
//!
//! The checksum and its place are those of SQLite's own extension, the checksum VFS shim
//! (<https://www.sqlite.org/cksumvfs.html>), so that a shell which has it loaded can open and check the file. Ours is
//! stricter: the extension checks a file only if its header says so, and a header can be damaged too.
//!
//! How layers are made: <https://www.sqlite.org/vfs.html>. This one needs no state of its own, so an open file stays
//! SQLite's, and only its table of methods is exchanged for one with three entries replaced.

#![expect(unsafe_code, reason = "SQLite's file systems are tables of C functions")]

use std::ffi::{CStr, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, Error, ffi};

/// Bytes at the end of a page that SQLite leaves to us.
pub(crate) const CHECKSUM_BYTES: usize = 8;

const NAME: &CStr = c"amends";

/// The smallest page SQLite knows; shorter reads are of the header.
const PAGE_BYTES_MIN: usize = 512;

/// The system's file system and ours over it.
struct FileSystems {
    system: *mut ffi::sqlite3_vfs,
    /// The methods of files, ours over the system's. The system has very few (one for each way of locking).
    methods: Mutex<Vec<&'static Methods>>,
}

// SAFETY: `system` points to what SQLite registered at its start and keeps, unchanged, as long as the process lives.
unsafe impl Send for FileSystems {}
// SAFETY: as above; what changes is behind a lock.
unsafe impl Sync for FileSystems {}

/// A table of methods, and the one it stands for. `ours` is first: SQLite holds a pointer to it, and [`system_of`] takes it
/// for one to the whole.
#[repr(C)]
struct Methods {
    ours: ffi::sqlite3_io_methods,
    system: *const ffi::sqlite3_io_methods,
}

// SAFETY: both are tables of functions that nobody changes.
unsafe impl Send for Methods {}
// SAFETY: as above.
unsafe impl Sync for Methods {}

static FILE_SYSTEMS: OnceLock<FileSystems> = OnceLock::new();

/// The name under which SQLite knows the file system with checksums.
pub(crate) fn file_system() -> Result<&'static CStr, Error> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    match *REGISTERED.get_or_init(register) {
        ffi::SQLITE_OK => Ok(NAME),
        code => Err(Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

fn register() -> c_int {
    // SAFETY: a null name asks for the default; the answer is null or lives as long as the process.
    let system = unsafe { ffi::sqlite3_vfs_find(std::ptr::null()) };
    if system.is_null() {
        return ffi::SQLITE_ERROR;
    }
    FILE_SYSTEMS.get_or_init(|| FileSystems { system, methods: Mutex::default() });
    // SAFETY: not null, see above.
    let mut ours = unsafe { *system };
    ours.pNext = std::ptr::null_mut();
    ours.zName = NAME.as_ptr();
    ours.xOpen = Some(open);
    // SAFETY: SQLite keeps the pointer for good, and what it points to is never freed.
    unsafe { ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 0) }
}

/// Leaves room for the checksum at the end of each page. Of effect only before the first page is written.
pub(crate) fn make_room(connection: &Connection) -> Result<(), Error> {
    let mut bytes = CHECKSUM_BYTES as c_int;
    // SAFETY: the handle is open as long as the connection is borrowed, and the last argument is what this code takes.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_RESERVE_BYTES,
            (&raw mut bytes).cast(),
        )
    };
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(Error::SqliteFailure(ffi::Error::new(code), None)) }
}

/// Opens a file; the database's own gets our methods.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    let systems = FILE_SYSTEMS.get().expect("SQLite knows this function only after it was set");
    // SAFETY: SQLite's own arguments, to the file system that takes them: ours has the same size of file.
    let code = unsafe {
        let system_open = (*systems.system).xOpen.expect("a file system can open files");
        system_open(systems.system, name, file, flags, flags_out)
    };
    if code == ffi::SQLITE_OK && flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
        // SAFETY: after a success SQLite's file has methods, of a table that lives as long as the process.
        unsafe { (*file).pMethods = &raw const systems.over((*file).pMethods).ours };
    }
    code
}

impl FileSystems {
    /// Our table over the system's.
    ///
    /// # Safety
    /// `system` must point to a table that is never changed or freed.
    unsafe fn over(&self, system: *const ffi::sqlite3_io_methods) -> &'static Methods {
        let mut known = self.methods.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(methods) = known.iter().find(|methods| std::ptr::eq(methods.system, system)) {
            return methods;
        }
        // SAFETY: the caller's promise.
        let mut ours = unsafe { *system };
        ours.xRead = Some(read);
        ours.xWrite = Some(write);
        ours.xDeviceCharacteristics = Some(device_characteristics);
        // Version 3 adds memory maps, which would go past `read`.
        ours.iVersion = ours.iVersion.min(2);
        let methods: &'static Methods = Box::leak(Box::new(Methods { ours, system }));
        known.push(methods);
        methods
    }
}

/// The system's methods of a file that [`open`] opened.
///
/// # Safety
/// `file` must be open, with our methods.
unsafe fn system_of(file: *mut ffi::sqlite3_file) -> &'static ffi::sqlite3_io_methods {
    // SAFETY: our methods are the first field of a `Methods` that lives for good, and so is the table it names.
    unsafe { &*(*(*file).pMethods.cast::<Methods>()).system }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this on files with our methods, and with a buffer of `amount` bytes.
    unsafe {
        let code = system_of(file).xRead.expect("files can be read")(file, buffer, amount, offset);
        match (code, page(buffer, amount)) {
            (ffi::SQLITE_OK, Some(page)) if !is_sound(page) => ffi::SQLITE_IOERR_DATA,
            // SQLite takes what lies behind the end for zeros. It asks only for pages that were written.
            (ffi::SQLITE_IOERR_SHORT_READ, Some(_)) => ffi::SQLITE_IOERR_DATA,
            _ => code,
        }
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: as for `read`. The end of a page is ours to write, though SQLite calls the buffer constant: it keeps nothing
    // there, and its own extension does the same.
    unsafe {
        if let Some(page) = page(buffer.cast_mut(), amount) {
            seal(page);
        }
        system_of(file).xWrite.expect("files can be written")(file, buffer, amount, offset)
    }
}

/// As the system says, but never that parts of pages can be read: those have no checksum.
unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: as for `read`.
    let said = unsafe { system_of(file).xDeviceCharacteristics.expect("every device has some")(file) };
    said & !ffi::SQLITE_IOCAP_SUBPAGE_READ
}

/// The page in a buffer, if it holds a whole one.
///
/// # Safety
/// The buffer must have `amount` bytes that nobody else uses meanwhile.
unsafe fn page<'b>(buffer: *mut c_void, amount: c_int) -> Option<&'b mut [u8]> {
    let bytes = usize::try_from(amount).ok()?;
    let is_whole = bytes >= PAGE_BYTES_MIN && bytes.is_power_of_two();
    // SAFETY: the caller's promise.
    is_whole.then(|| unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), bytes) })
}

/// Puts the checksum at the page's end.
pub(crate) fn seal(page: &mut [u8]) {
    let (content, place) = page.split_at_mut(page.len() - CHECKSUM_BYTES);
    place.copy_from_slice(&checksum(content));
}

/// Whether the page is what was sealed. A page of zeros is: SQLite leaves holes for pages that were free at once.
pub(crate) fn is_sound(page: &[u8]) -> bool {
    let (content, kept) = page.split_at(page.len() - CHECKSUM_BYTES);
    checksum(content) == kept
}

/// Two running sums over little-endian words of 32 bits, each fed by the other: SQLite's own for its log, from zero.
/// <https://www.sqlite.org/fileformat2.html#checksum_algorithm>
fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let (mut one, mut two) = (0_u32, 0_u32);
    let (pairs, rest) = content.as_chunks::<8>();
    assert!(rest.is_empty(), "pages and their checksums are multiples of eight bytes");
    for [a, b, c, d, e, f, g, h] in pairs {
        one = one.wrapping_add(u32::from_le_bytes([*a, *b, *c, *d])).wrapping_add(two);
        two = two.wrapping_add(u32::from_le_bytes([*e, *f, *g, *h])).wrapping_add(one);
    }
    let ([a, b, c, d], [e, f, g, h]) = (one.to_le_bytes(), two.to_le_bytes());
    [a, b, c, d, e, f, g, h]
}
