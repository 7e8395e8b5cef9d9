import { Drawer, Group, Loader, Stack, Text } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { FaultNotice } from "../app/FaultNotice"
import { useFormat } from "../app/format"
import { useFilesById } from "../files/queries"
import classes from "./Passages.module.css"
import { type Passage, usePassages } from "./queries"

interface Props {
  storeId: string
  /** The file whose passages are shown; null closes the drawer. */
  fileId: string | null
  onClose: () => void
}

/** A file as it is searched: cut into passages. */
export function PassagesDrawer({ storeId, fileId, onClose }: Props) {
  const { t } = useTranslation("files")
  const { t: common } = useTranslation()
  const file = useFilesById().get(fileId ?? "")
  return (
    <Drawer
      opened={fileId !== null}
      onClose={onClose}
      position="right"
      size="lg"
      title={file?.filename ?? t("passages.title")}
      closeButtonProps={{ "aria-label": common("actions.close") }}
    >
      {fileId && <Passages storeId={storeId} fileId={fileId} />}
    </Drawer>
  )
}

function Passages({ storeId, fileId }: { storeId: string; fileId: string }) {
  const { t } = useTranslation("files")
  const { data, error, refetch } = usePassages(storeId, fileId)
  if (error) return <FaultNotice error={error} onRetry={() => void refetch()} />
  if (!data) return <Loader size="sm" aria-label={t("loading")} />
  return (
    <Stack gap="md">
      <Text size="sm" c="dimmed">
        {t("passages.text", { count: data.length })}
      </Text>
      <ol className={classes.passages}>
        {data.map((passage, index) => (
          <li key={index} className={classes.passage}>
            <Place passage={passage} number={index + 1} />
            <p className={classes.text}>{passage.text}</p>
          </li>
        ))}
      </ol>
    </Stack>
  )
}

/** Where a passage stands: its number, page and heading, as far as they are known. */
function Place({ passage, number }: { passage: Passage; number: number }) {
  const { t } = useTranslation("files")
  const format = useFormat()
  return (
    <Group gap={8} className={classes.place}>
      <span>{t("passages.number", { number: format.number(number) })}</span>
      {passage.page != null && <span>{t("passages.page", { page: format.number(passage.page) })}</span>}
      {passage.heading && <span className={classes.heading}>{passage.heading}</span>}
    </Group>
  )
}
