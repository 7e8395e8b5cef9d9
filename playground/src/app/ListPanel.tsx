import { CloseButton, Group, Skeleton, Stack, Text, TextInput, Title } from "@mantine/core"
import { IconSearch } from "@tabler/icons-react"
import { type ReactNode, useDeferredValue, useState } from "react"
import { useTranslation } from "react-i18next"
import { NavLink } from "react-router"
import { FaultNotice } from "./FaultNotice"
import classes from "./ListPanel.module.css"
import { MoreOf } from "./MoreButton"

export interface Entry {
  id: string
  path: string
  title: string
  /** The title stands for one that is missing. */
  isUntitled: boolean
  below: ReactNode
  /** Beside the title, what else the search looks into. */
  words: string
}

interface Props {
  title: string
  searchLabel: string
  action: ReactNode
  entries: Entry[] | undefined
  /** What the entries were read from. */
  list: {
    data: readonly unknown[] | null | undefined
    error: unknown
    refetch: () => unknown
    more: (() => void) | null
    isReadingMore: boolean
  }
}

/** The searchable list of a page: assistants, threads, vector stores. */
export function ListPanel({ title, searchLabel, action, entries, list }: Props) {
  const { t } = useTranslation()
  const { error } = list
  const [search, setSearch] = useState("")
  const sought = useDeferredValue(search.trim().toLowerCase())
  const found = entries?.filter(({ title, words }) => `${title} ${words}`.toLowerCase().includes(sought))

  return (
    <>
      <Stack gap="sm" className={classes.head}>
        <Group justify="space-between" wrap="nowrap">
          <Title order={1} size="h4">
            {title}
          </Title>
          {action}
        </Group>
        {entries && entries.length > 0 && (
          <TextInput
            type="search"
            aria-label={searchLabel}
            placeholder={searchLabel}
            value={search}
            onChange={(event) => setSearch(event.currentTarget.value)}
            leftSection={<IconSearch size={15} aria-hidden />}
            rightSection={
              search && (
                <CloseButton size="sm" onClick={() => setSearch("")} aria-label={t("actions.clear")} />
              )
            }
          />
        )}
      </Stack>
      <div className={classes.entries}>
        {error ? <FaultNotice error={error} onRetry={() => void list.refetch()} /> : null}
        {!found && !error && <Placeholders />}
        {found && sought && (
          <Text size="xs" c="dimmed" px={10} pb={4} role="status">
            {t("search.found", { count: found.length })}
          </Text>
        )}
        {found && found.length > 0 && (
          <ul className={classes.list}>
            {found.map((entry) => (
              <li key={entry.id}>
                <NavLink to={entry.path} className={classes.entry ?? ""}>
                  <span className={classes.title} data-untitled={entry.isUntitled || undefined}>
                    {entry.title}
                  </span>
                  <span className={classes.below}>{entry.below}</span>
                </NavLink>
              </li>
            ))}
          </ul>
        )}
        <MoreOf list={list} />
      </div>
    </>
  )
}

function Placeholders() {
  return (
    <Stack gap={8} px={4} aria-hidden>
      {[1, 2, 3].map((row) => (
        <Skeleton key={row} height={52} radius="md" />
      ))}
    </Stack>
  )
}
