//! CPython in WebAssembly: an instance of it, given code to run.

use std::fs::File;

use wasmtime::{
    Config, Engine, Instance, InstanceAllocationStrategy, Linker, Module, OptLevel, Store, StoreContextMut,
    Trap, TypedFunc, UpdateDeadline,
};

use super::host::Host;
use super::wasi::{self, Exit};

/// What the module calls the functions that are used here.
const TURN: &str = "turn";
const ALLOCATE: &str = "host_alloc";
const MEMORY: &str = "memory";
/// Ours: `PyErr_SetInterruptEx`, which `pack` exports under this name.
pub(super) const INTERRUPT: &str = "adjutant_interrupt";

/// SIGINT, as WASI's C library emulates it.
const SIGINT: i32 = 2;

/// Stack of the guest. Its Python counts on so much.
const STACK_BYTES: usize = 8 << 20;
/// Stack of the thread that runs it: the guest's, and room for what the host does below it.
pub(super) const THREAD_BYTES: usize = STACK_BYTES + (4 << 20);

/// Ticks that an interruption itself may take.
const LONG: u64 = 1 << 32;

/// A Python that has been started.
pub(super) struct Guest {
    store: Store<Host>,
    instance: Instance,
}

/// The engine: the same for compiling and for running, since what the one has made only the same can run.
pub(super) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_exceptions(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::Speed)
        .async_stack_size(THREAD_BYTES)
        .max_wasm_stack(STACK_BYTES)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        // Names of functions in a hundred megabytes of code, for traps that nobody reads.
        .generate_address_map(false)
        .native_unwind_info(false);
    Engine::new(&config)
}

impl Guest {
    /// A guest in this world, as new.
    pub(super) fn new(engine: &Engine, module: &Module, host: Host) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        wasi::link(&mut linker)?;
        let mut store = Store::new(engine, host);
        store.limiter(|host| host);
        store.set_epoch_deadline(1);
        let instance = linker.instantiate(&mut store, module)?;
        store.data_mut().memory = instance.get_memory(&mut store, MEMORY);
        let interrupt = instance.get_typed_func::<i32, i32>(&mut store, INTERRUPT)?;
        store.epoch_deadline_callback(move |context| look_up(context, &interrupt));
        Ok(Self { store, instance })
    }

    /// Gives it the memory that another one had, once that was between two turns: then all of its state is there.
    pub(super) fn resume(&mut self, memory: &File) -> wasmtime::Result<()> {
        let size = usize::try_from(memory.metadata()?.len())?;
        let guest = self.memory()?;
        let missing = size.saturating_sub(guest.data_size(&self.store));
        let pages = u64::try_from(missing)?.div_ceil(guest.page_size(&self.store));
        guest.grow(&mut self.store, pages)?;
        let place = guest.data_mut(&mut self.store).get_mut(..size);
        super::mapped::over(place.ok_or_else(|| wasmtime::format_err!("it has no memory"))?, memory)?;
        Ok(())
    }

    /// Its memory, between two turns. Nothing of its state may be elsewhere.
    pub(super) fn memory_bytes(&self) -> wasmtime::Result<&[u8]> {
        let open = self.store.data().opened_since();
        wasmtime::ensure!(open == 0, "Python left {open} files open");
        Ok(self.memory()?.data(&self.store))
    }

    /// Runs a piece of Python, to its end or the guest's.
    pub(super) fn turn(&mut self, code: &str) -> Result<(), Ended> {
        self.call(code).map_err(Ended::of)
    }

    fn call(&mut self, code: &str) -> wasmtime::Result<()> {
        let length = u32::try_from(code.len())?;
        let allocate: TypedFunc<u32, u32> = self.instance.get_typed_func(&mut self.store, ALLOCATE)?;
        let place = allocate.call(&mut self.store, length)?;
        self.memory()?.write(&mut self.store, usize::try_from(place)?, code.as_bytes())?;
        let turn: TypedFunc<(u32, u32), i32> = self.instance.get_typed_func(&mut self.store, TURN)?;
        match turn.call(&mut self.store, (place, length))? {
            0 => Ok(()),
            code => Err(wasmtime::format_err!("Python ended a turn with {code}")),
        }
    }

    fn memory(&self) -> wasmtime::Result<wasmtime::Memory> {
        self.store.data().memory.ok_or_else(|| wasmtime::format_err!("the module exports no memory"))
    }
}

/// What happens at each tick while the guest computes: where somebody asked for it, the program is interrupted, as a
/// signal would.
fn look_up(
    mut context: StoreContextMut<'_, Host>,
    interrupt: &TypedFunc<i32, i32>,
) -> wasmtime::Result<UpdateDeadline> {
    if context.data().talk.take_interruption() {
        context.set_epoch_deadline(LONG);
        interrupt.call(&mut context, SIGINT)?;
    }
    Ok(UpdateDeadline::Continue(1))
}

/// How a guest ended that was not to end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    /// It wished to.
    #[error("Python ended with exit code {0}")]
    Exited(u32),
    /// Its stack was not enough, in code that Python does not count.
    #[error("Python crashed: its stack is used up")]
    StackOverflow,
    /// Such as an access beyond its memory.
    #[error("Python crashed: {0}")]
    Crashed(String),
}

impl Ended {
    fn of(error: wasmtime::Error) -> Self {
        if let Some(Exit(code)) = error.downcast_ref() {
            return Self::Exited(*code);
        }
        match error.downcast_ref() {
            Some(Trap::StackOverflow) => Self::StackOverflow,
            Some(trap) => Self::Crashed(trap.to_string()),
            None => Self::Crashed(error.to_string()),
        }
    }
}
