import { ActionIcon, Table, Text } from "@mantine/core"
import { IconTrash } from "@tabler/icons-react"
import { useState } from "react"
import { useTranslation } from "react-i18next"
import { Link } from "react-router"
import { useFormat } from "../app/format"
import { MoreButton } from "../app/MoreButton"
import classes from "./FileTable.module.css"
import { usePurposeWords } from "./purposes"
import type { StoredFile } from "./upload"
import { useAskToDeleteFile } from "./useAskToDeleteFile"

// A table of ten thousand rows would stop the page for seconds.
const ROWS = 200

export function FileTable({ files }: { files: StoredFile[] }) {
  const { t } = useTranslation("files")
  const [shown, setShown] = useState(ROWS)
  return (
    <div className={classes.frame}>
      <Table verticalSpacing="xs" highlightOnHover aria-label={t("title")}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t("columns.name")}</Table.Th>
            <Table.Th className={classes.wide ?? ""}>{t("columns.purpose")}</Table.Th>
            <Table.Th>{t("columns.size")}</Table.Th>
            <Table.Th className={classes.wide ?? ""}>{t("columns.created")}</Table.Th>
            <Table.Th>
              <span className={classes.hidden}>{t("columns.actions")}</span>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {files.slice(0, shown).map((file) => (
            <FileRow key={file.id} file={file} />
          ))}
        </Table.Tbody>
      </Table>
      {files.length > shown && <MoreButton onClick={() => setShown(shown + ROWS)} />}
    </div>
  )
}

function FileRow({ file }: { file: StoredFile }) {
  const { t } = useTranslation("files")
  const { bytes, moment } = useFormat()
  const purposeWords = usePurposeWords()
  const askToDelete = useAskToDeleteFile()
  return (
    <Table.Tr>
      <Table.Td className={classes.name ?? ""}>
        <Link to={`/files/${file.id}`} className={classes.link}>
          {file.filename}
        </Link>
      </Table.Td>
      <Table.Td className={classes.wide ?? ""}>
        <Text size="sm" c="dimmed">
          {purposeWords(file.purpose)}
        </Text>
      </Table.Td>
      <Table.Td>
        <Text size="sm" c="dimmed" className={classes.short ?? ""}>
          {bytes(file.bytes)}
        </Text>
      </Table.Td>
      <Table.Td className={classes.wide ?? ""}>
        <Text size="sm" c="dimmed" className={classes.short ?? ""}>
          {moment(file.created_at)}
        </Text>
      </Table.Td>
      <Table.Td w={44}>
        <ActionIcon
          variant="subtle"
          color="gray"
          onClick={() => askToDelete(file)}
          aria-label={t("delete.label", { name: file.filename })}
          title={t("delete.label", { name: file.filename })}
        >
          <IconTrash size={16} />
        </ActionIcon>
      </Table.Td>
    </Table.Tr>
  )
}
