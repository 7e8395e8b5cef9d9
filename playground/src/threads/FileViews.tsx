import { Anchor, Button, Image, Skeleton, Text } from "@mantine/core"
import { IconDownload, IconPaperclip } from "@tabler/icons-react"
import { type ReactNode, useState } from "react"
import { useTranslation } from "react-i18next"
import { faultOf } from "../api/errors"
import { useFaultWords } from "../app/FaultWords"
import { notifyFault } from "../app/notify"
import { download, useFile } from "../files/queries"
import classes from "./FileViews.module.css"
import { useBlobUrl } from "./useBlob"

interface PictureProps {
  fileId: string
  alt?: string
  /** As a reminder of what was sent, rather than to be read. */
  isSmall?: boolean
}

/** A picture that the server keeps; one click shows it in full. */
export function Picture({ fileId, alt, isSmall = false }: PictureProps) {
  const { t } = useTranslation("threads")
  const { url, error } = useBlobUrl(fileId)
  const name = useFileName(fileId)
  const words = useFaultWords()
  if (error) {
    return (
      <Text size="sm" c="dimmed">
        {t("file.imageUnavailable", { why: words(faultOf(error)) })}
      </Text>
    )
  }
  if (!url) return <Skeleton height={isSmall ? 120 : 220} maw={isSmall ? 180 : 420} radius="md" />
  return (
    <Anchor href={url} target="_blank" className={classes.picture ?? ""} mod={{ small: isSmall }}>
      <Image
        src={url}
        alt={alt ?? t("file.image", { name })}
        fit="contain"
        radius="md"
        className={classes.image ?? ""}
      />
    </Anchor>
  )
}

/** A file that a program made, to be taken home. */
export function DownloadButton({ fileId }: { fileId: string }) {
  const { t } = useTranslation("threads")
  const name = useFileName(fileId)
  const [isBusy, save] = useDownload(fileId)
  return (
    <Button
      variant="default"
      size="xs"
      leftSection={<IconDownload size={14} aria-hidden />}
      loading={isBusy}
      onClick={save}
      aria-label={t("file.download", { name })}
    >
      {name}
    </Button>
  )
}

/** The same within a sentence. */
export function DownloadLink({ fileId, children }: { fileId: string; children: ReactNode }) {
  const { t } = useTranslation("threads")
  const name = useFileName(fileId)
  const [, save] = useDownload(fileId)
  return (
    <Anchor
      inherit
      component="button"
      type="button"
      underline="always"
      onClick={save}
      title={t("file.download", { name })}
    >
      {children}
    </Anchor>
  )
}

/** A file that was given to the assistant. Few servers give such files back. */
export function FileName({ fileId, use }: { fileId: string; use: string }) {
  const name = useFileName(fileId)
  const { data } = useFile(fileId)
  return (
    <span className={classes.name}>
      <IconPaperclip size={14} aria-hidden />
      <span className={classes.text}>
        {data?.downloadable ? <DownloadLink fileId={fileId}>{name}</DownloadLink> : name}
      </span>
      {use && (
        <Text span size="xs" c="dimmed">
          {use}
        </Text>
      )}
    </span>
  )
}

function useFileName(fileId: string): string {
  const { data } = useFile(fileId)
  return data?.filename.split("/").at(-1) ?? fileId
}

function useDownload(fileId: string): [boolean, () => void] {
  const { data, error } = useFile(fileId)
  const [isBusy, setBusy] = useState(false)
  function save() {
    if (error) notifyFault(error)
    if (!data || isBusy) return
    setBusy(true)
    download(data)
      .catch(notifyFault)
      .finally(() => setBusy(false))
  }
  return [isBusy, save]
}
