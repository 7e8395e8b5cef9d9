import { Input, Loader } from "@mantine/core"
import { type ComponentProps, lazy, Suspense, useId } from "react"
import classes from "./JsonEditor.module.css"

// The editor is larger than all of the page around it.
const CodeEditor = lazy(() => import("./CodeEditor"))

interface Props {
  label: string
  description?: string
  value: string
  onChange: (value: string) => void
  error?: string | undefined
}

/** A field for JSON: coloured, indented by itself, with mistakes marked where they are. */
export function JsonEditor({ label, description, value, onChange, error }: Props) {
  const id = useId()
  const wiring: ComponentProps<typeof CodeEditor>["wiring"] = {
    tabindex: "0",
    "aria-labelledby": `${id}-label`,
    ...(error ? { "aria-invalid": "true", "aria-describedby": `${id}-error` } : {}),
  }
  return (
    <Input.Wrapper
      label={label}
      description={description}
      error={error}
      labelElement="div"
      labelProps={{ id: `${id}-label` }}
      errorProps={{ id: `${id}-error` }}
    >
      <div className={classes.frame} data-error={error ? true : undefined}>
        <Suspense fallback={<Loader size="sm" m="md" />}>
          <CodeEditor value={value} onChange={onChange} wiring={wiring} />
        </Suspense>
      </div>
    </Input.Wrapper>
  )
}
