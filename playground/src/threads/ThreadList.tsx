import { Button, Text } from "@mantine/core"
import { IconPlus } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import { Link } from "react-router"
import { useFormat } from "../app/format"
import { ListPanel } from "../app/ListPanel"
import { useThreadNames, useThreads } from "./queries"

const NO_THREADS: never[] = []

/** All threads, the newest first. */
export function ThreadList() {
  const { t } = useTranslation("threads")
  const format = useFormat()
  const list = useThreads()
  const threads = list.data
  const names = useThreadNames(threads ?? NO_THREADS)
  return (
    <>
      <ListPanel
        title={t("list.title")}
        searchLabel={t("list.search")}
        action={
          <Button
            component={Link}
            to="/threads/new"
            size="xs"
            leftSection={<IconPlus size={15} aria-hidden />}
          >
            {t("list.new")}
          </Button>
        }
        entries={(threads === null ? NO_THREADS : threads)?.map((thread) => {
          const name = names.get(thread.id) ?? ""
          return {
            id: thread.id,
            path: `/threads/${thread.id}`,
            title: name || t("list.untitled"),
            isUntitled: name === "",
            below: format.moment(thread.created_at),
            words: thread.id,
          }
        })}
        list={list}
      />
      {threads === null && (
        <Text size="xs" c="dimmed" px="md" pb="md">
          {t("list.noListing")}
        </Text>
      )}
    </>
  )
}
