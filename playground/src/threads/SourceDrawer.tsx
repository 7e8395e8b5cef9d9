import { Drawer, Loader, Stack, Text } from "@mantine/core"
import { useQuery } from "@tanstack/react-query"
import { useEffect, useRef } from "react"
import { useTranslation } from "react-i18next"
import { api } from "../api/client"
import type { Passage } from "../vector-stores/queries"
import type { Source } from "./passages"
import classes from "./SourceDrawer.module.css"

interface Props {
  source: Source | null
  thread: string
  /** The vector stores of assistants, which are searched, too. */
  stores: readonly string[]
  onClose: () => void
}

/** The passage that a citation stands for, at its place in the file. */
export function SourceDrawer({ source, thread, stores, onClose }: Props) {
  const { t } = useTranslation(["threads", "app"])
  return (
    <Drawer
      opened={source !== null}
      onClose={onClose}
      position="right"
      size="lg"
      title={source?.fileName ?? t("citation.title")}
      closeButtonProps={{ "aria-label": t("app:actions.close") }}
    >
      {source && <Passages source={source} thread={thread} stores={stores} />}
    </Drawer>
  )
}

function Passages({ source, thread, stores }: Omit<Props, "source" | "onClose"> & { source: Source }) {
  const { t } = useTranslation("threads")
  const { data, isPending } = useQuery({
    queryKey: ["passages", source.fileId, thread, stores],
    queryFn: async () => passagesOf(source.fileId, [...(await storesOf(thread)), ...stores]),
  })
  const cited = useRef<HTMLDivElement>(null)
  const place =
    source.text === null ? -1 : (data ?? []).findIndex(({ text }) => isSame(text, source.text ?? ""))

  useEffect(() => {
    if (place >= 0) cited.current?.scrollIntoView({ block: "start" })
  }, [place])

  if (isPending) return <Loader size="sm" />
  if (!data || place < 0) {
    return (
      <Stack gap="sm">
        {source.text ? <p className={classes.cited}>{source.text}</p> : null}
        <Text size="sm" c="dimmed">
          {t(source.text ? "citation.onlyPassage" : "citation.gone")}
        </Text>
      </Stack>
    )
  }
  return (
    <Stack gap="md">
      <Text size="xs" c="dimmed">
        {t("citation.whole")}
      </Text>
      {data.map((passage, number) => (
        <div key={number} ref={number === place ? cited : undefined} className={classes.place}>
          <Text size="xs" c="dimmed" mb={4}>
            {[
              number === place ? t("citation.cited") : t("citation.passage", { number: number + 1 }),
              passage.page ? t("citation.page", { page: passage.page }) : null,
              passage.heading,
            ]
              .filter(Boolean)
              .join(" · ")}
          </Text>
          <p className={number === place ? classes.cited : classes.passage}>{passage.text}</p>
        </div>
      ))}
    </Stack>
  )
}

/** A thread's own vector stores, as they are now: the first attached file makes one. */
async function storesOf(id: string): Promise<readonly string[]> {
  const thread = await api().beta.threads.retrieve(id)
  return thread.tool_resources?.file_search?.vector_store_ids ?? []
}

/** A file's passages, from the first of these stores that has it; null where none has. */
async function passagesOf(fileId: string, stores: readonly string[]): Promise<Passage[] | null> {
  for (const store of stores) {
    const path = `/vector_stores/${store}/files/${fileId}/content`
    try {
      const { data } = await api().get<{ data: Passage[] }>(path, { query: { passages: true } })
      return data
    } catch {
      // Not in this store; what is wrong with the server shows elsewhere.
    }
  }
  return null
}

function isSame(one: string, other: string): boolean {
  const plain = (text: string) => text.replace(/\s+/g, " ").trim()
  return plain(one) === plain(other)
}
