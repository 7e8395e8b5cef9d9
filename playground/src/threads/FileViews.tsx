import { Anchor, Button, Image, Skeleton, Text } from "@mantine/core"
import { IconDownload, IconPaperclip } from "@tabler/icons-react"
import { useQuery } from "@tanstack/react-query"
import { type ReactNode, useState } from "react"
import { useTranslation } from "react-i18next"
import { api } from "../api/client"
import { faultOf } from "../api/errors"
import { notifyFault } from "../app/notify"
import { download } from "../files/queries"
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
  if (error) {
    return (
      <Text size="sm" c="dimmed">
        {t("file.imageUnavailable", { why: faultOf(error).detail ?? "" })}
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

/** A file that was given to the assistant. */
export function FileName({ fileId, use }: { fileId: string; use: string }) {
  return (
    <span className={classes.name}>
      <IconPaperclip size={14} aria-hidden />
      <span className={classes.text}>{useFileName(fileId)}</span>
      {use && (
        <Text span size="xs" c="dimmed">
          {use}
        </Text>
      )}
    </span>
  )
}

function useFileName(fileId: string): string {
  const { data } = useStoredFile(fileId)
  return data?.filename.split("/").at(-1) ?? fileId
}

function useDownload(fileId: string): [boolean, () => void] {
  const { data, error } = useStoredFile(fileId)
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

/** One file by itself: the list of all may have been read before a program made it. */
function useStoredFile(fileId: string) {
  return useQuery({
    queryKey: ["file", fileId],
    queryFn: () => api().files.retrieve(fileId),
    staleTime: Number.POSITIVE_INFINITY,
  })
}
