import { Button, Stack, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { useFormat } from "./format"

interface Props {
  onClick: () => void
  isBusy?: boolean
  /** What is shown so far, in words. */
  note?: string
}

/** At the end of a list that has more. */
export function MoreButton({ onClick, isBusy = false, note }: Props) {
  const { t } = useTranslation()
  return (
    <Stack p="sm" gap={6} align="center">
      {note && (
        <Text size="xs" c="dimmed" ta="center">
          {note}
        </Text>
      )}
      <Button size="xs" variant="default" onClick={onClick} loading={isBusy}>
        {t("actions.more")}
      </Button>
    </Stack>
  )
}

interface OfList {
  list: { data: readonly unknown[] | null | undefined; more: (() => void) | null; isReadingMore: boolean }
}

/** At the end of a list of the API, where not all of it has been read. */
export function MoreOf({ list: { data, more, isReadingMore } }: OfList) {
  const { t } = useTranslation()
  const { number } = useFormat()
  if (!more) return null
  const note = t("search.newest", { shown: number(data?.length ?? 0) })
  return <MoreButton onClick={more} isBusy={isReadingMore} note={note} />
}
