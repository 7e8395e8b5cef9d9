import { useRef, useState } from "react"
import { type StoredFile, uploadFile } from "./upload"

export interface Uploading {
  id: number
  file: File
  /** From 0 to 1. */
  progress: number
  error: unknown
  /** Its file on the server, once it is whole there. */
  fileId: string | null
}

const AT_ONCE = 3

/**
 * Sends files, a few at a time. `onStored` is called with each file that has arrived, and what it does belongs to the
 * upload: it is shown until that is done too.
 */
export function useUploads(onStored: (file: StoredFile) => Promise<unknown>) {
  const [uploads, setUploads] = useState<Uploading[]>([])
  const work = useRef({
    waiting: [] as Uploading[],
    running: 0,
    next: 1,
    stops: new Map<number, AbortController>(),
  })
  const stored = useRef(onStored)
  stored.current = onStored

  function add(files: File[]) {
    const added = files.map((file) => ({
      id: work.current.next++,
      file,
      progress: 0,
      error: null,
      fileId: null,
    }))
    setUploads((all) => [...all, ...added])
    work.current.waiting.push(...added)
    startMore()
  }

  function startMore() {
    while (work.current.running < AT_ONCE) {
      const upload = work.current.waiting.shift()
      if (!upload) return
      work.current.running++
      void run(upload).finally(() => {
        work.current.running--
        startMore()
      })
    }
  }

  async function run({ id, file }: Uploading) {
    const stop = new AbortController()
    work.current.stops.set(id, stop)
    try {
      const arrived = await uploadFile(file, {
        signal: stop.signal,
        onProgress: (progress) => patch(id, { progress }),
      })
      patch(id, { progress: 1, fileId: arrived.id })
      await stored.current(arrived)
      drop(id)
    } catch (error) {
      if (!stop.signal.aborted) patch(id, { error })
    } finally {
      work.current.stops.delete(id)
    }
  }

  function patch(id: number, changes: Partial<Uploading>) {
    setUploads((all) => all.map((upload) => (upload.id === id ? { ...upload, ...changes } : upload)))
  }

  function drop(id: number) {
    setUploads((all) => all.filter((upload) => upload.id !== id))
  }

  function stop(id: number) {
    work.current.waiting = work.current.waiting.filter((upload) => upload.id !== id)
    work.current.stops.get(id)?.abort()
    drop(id)
  }

  function retry(upload: Uploading) {
    drop(upload.id)
    add([upload.file])
  }

  return { uploads, add, stop, retry }
}
