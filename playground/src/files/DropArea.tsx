import { Button, Text } from "@mantine/core"
import { IconUpload } from "@tabler/icons-react"
import type { ReactNode } from "react"
import { useDropzone } from "react-dropzone"
import { useTranslation } from "react-i18next"
import classes from "./DropArea.module.css"

interface Props {
  onFiles: (files: File[]) => void
  /** What becomes of the files. */
  hint: string
  children?: ReactNode
  disabled?: boolean
}

/** Takes files that are dropped on it, and asks for some at the press of its button. */
export function DropArea({ onFiles, hint, children, disabled = false }: Props) {
  const { t } = useTranslation("files")
  const { getRootProps, getInputProps, open, isDragActive } = useDropzone({
    onDrop: (files) => files.length > 0 && onFiles(files),
    noClick: true,
    noKeyboard: true,
    disabled,
  })
  return (
    <div {...getRootProps()} className={classes.area} data-over={isDragActive || undefined}>
      {/* The button opens it; it would be a second one of the same name. */}
      <input {...getInputProps({ "aria-hidden": true })} />
      {children}
      <div className={classes.invitation}>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconUpload size={15} aria-hidden />}
          onClick={open}
          disabled={disabled}
        >
          {t("drop.choose")}
        </Button>
        <Text size="xs" c="dimmed" className={classes.hint ?? ""}>
          {isDragActive ? t("drop.release") : hint}
        </Text>
      </div>
    </div>
  )
}
